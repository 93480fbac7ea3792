package deployment

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/hashicorp/terraform-plugin-framework/diag"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/deploy/scheduled"
)

// Deployments of one name can follow each other before the earlier one is
// destroyed (create_before_destroy). Each has a generation, a random text in the
// private state and on what was deployed, and removes only what carries its own.

// generationKey is where the generation survives, out of sight of users. States of
// earlier versions have none.
const generationKey = "generation"

func newGeneration() string {
	var id [8]byte
	_, _ = rand.Read(id[:]) // never fails
	return hex.EncodeToString(id[:])
}

// privateState is the private state of a request or an answer.
type (
	privateReader interface {
		GetKey(ctx context.Context, key string) ([]byte, diag.Diagnostics)
	}
	privateWriter interface {
		SetKey(ctx context.Context, key string, value []byte) diag.Diagnostics
	}
)

// generationOf gives "" where there is none.
func generationOf(ctx context.Context, private privateReader) (generation string, diags diag.Diagnostics) {
	stored, diags := private.GetKey(ctx, generationKey)
	if len(stored) > 0 && json.Unmarshal(stored, &generation) != nil {
		return "", diags
	}
	return generation, diags
}

func keepGeneration(ctx context.Context, private privateWriter, generation string) diag.Diagnostics {
	return private.SetKey(ctx, generationKey, []byte(`"`+generation+`"`))
}

// claimed is what a deployment is called among those of one apply.
func (l left) claimed() string { return l.RunOn + " " + l.ID }

// checkFree holds that a new deployment takes nothing over from another schedule,
// in this configuration or in others.
func (r *Resource) checkFree(ctx context.Context, d *rendering, m *Model) error {
	id := m.ID.ValueString()
	// Another one of this apply: its predecessor, which create_before_destroy
	// leaves for later, was made by an earlier one.
	if r.conn.Claimed(left{RunOn: d.name, ID: id}.claimed()) != "" {
		return fmt.Errorf("another pgbackup_schedule of this configuration is called %q and runs there: give one of them another name", m.Name.ValueString())
	}
	if err := r.papersFree(ctx, d, m); err != nil {
		return err
	}
	return d.free(ctx)
}

// importable says how to take over what is there.
func importable(err error, id string) error {
	if !errors.Is(err, scheduled.ErrTaken) {
		return err
	}
	return fmt.Errorf("%w: import it (terraform import ADDRESS '%s'), or give this one another name", err, id)
}

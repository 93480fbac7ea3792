package recoverypoint

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/diag"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
)

// holdMark is the reason in the marks of holds by this resource: it tells them from
// those that people and jobs set, which are not this resource's to end.
const holdMark = "pgbackup_recovery_point"

// holding is who holds a point.
type holding struct {
	held bool
	own  bool      // by this resource
	mark repo.Mark // of the hold in force; zero where it cannot be read
}

// holdOf reads the hold of a point. One whose mark cannot be read counts as somebody
// else's.
func holdOf(ctx context.Context, r *repo.Repository, ref repo.Ref) (h holding, err error) {
	if h.held, err = r.Held(ctx, ref); err != nil || !h.held {
		return h, err
	}
	h.mark, err = r.LastHold(ctx, ref)
	if errors.Is(err, repo.ErrDamaged) || errors.Is(err, repo.ErrNotFound) {
		return h, nil
	}
	h.own = err == nil && h.mark.Why == holdMark
	return h, err
}

// foreign: somebody else holds the point.
func (h holding) foreign() bool { return h.held && !h.own }

// String says by whom it is held, for messages.
func (h holding) String() string {
	if h.mark.At.IsZero() {
		return "it is held, and by whom cannot be read"
	}
	text := fmt.Sprintf("it has been held since %s by %s", h.mark.At.UTC().Format(time.RFC3339), cmp.Or(h.mark.By, "somebody"))
	if h.mark.Why != "" {
		text += fmt.Sprintf(" (%s)", h.mark.Why)
	}
	return text
}

// startHold holds a point. One that somebody else holds is held, and stays theirs:
// a mark of this resource over it would make the hold its own to end.
func (r *Resource) startHold(ctx context.Context, in *repo.Repository, ref repo.Ref) error {
	if h, err := holdOf(ctx, in, ref); err != nil || h.foreign() {
		return err
	}
	return in.Hold(ctx, ref, r.mark(holdMark))
}

// endHold ends the hold of this resource. Somebody else's stays, and is told.
func (r *Resource) endHold(ctx context.Context, opened *repo.Repository, m model, why string, diags *diag.Diagnostics) error {
	h, err := holdOf(ctx, opened, m.ref())
	if err != nil {
		return err
	}
	if h.foreign() {
		diags.AddWarning(fmt.Sprintf("pgbackup_recovery_point (%s) stays held: %s", m.name(), h),
			fmt.Sprintf("That hold is not this resource's to end. `pgbackup-runner release %s` ends it.", m.Point.ValueString()))
		return nil
	}
	return opened.Release(ctx, m.ref(), r.mark(why))
}

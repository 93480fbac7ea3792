package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
)

// maxMark bounds what is read of a mark, in bytes.
const maxMark = 64 << 10

// hold is why a point is held, in the document of `show --json`.
type hold struct {
	Since time.Time `json:"since"`
	By    string    `json:"by,omitempty"`
	Why   string    `json:"why,omitempty"`
}

// readHold reads the newest mark of a held point: holds/<source>/<kind>/<id>/
// has numbered marks, and names order like numbers.
func readHold(ctx context.Context, r *repo.Repository, ref repo.Ref) (hold, error) {
	ref.Parent = "" // the keys of marks do not have it
	prefix := "holds/" + strings.TrimPrefix(ref.DataPrefix(), "points/")
	newest := ""
	for info, err := range r.Store().List(ctx, prefix) {
		if err != nil {
			return hold{}, fmt.Errorf("read the hold of %s: %w", ref, err)
		}
		if strings.HasSuffix(info.Key, "-held.json") {
			newest = max(newest, info.Key)
		}
	}
	if newest == "" {
		return hold{}, fmt.Errorf("read the hold of %s: its mark is not understood", ref)
	}
	body, _, err := r.Store().Get(ctx, newest, objstore.GetOptions{})
	if err != nil {
		return hold{}, fmt.Errorf("read the hold of %s: %w", ref, err)
	}
	defer body.Close()
	var m repo.Mark
	if err := json.NewDecoder(io.LimitReader(body, maxMark)).Decode(&m); err != nil {
		return hold{}, fmt.Errorf("read the hold of %s: %s: %w", ref, newest, err)
	}
	return hold{Since: m.At.UTC(), By: m.By, Why: m.Why}, nil
}

// withHold is a manifest as JSON, and beside its own fields why it is held.
func withHold(m *repo.Manifest, h *hold) (any, error) {
	if h == nil {
		return m, nil
	}
	manifest, err := json.Marshal(m)
	if err != nil {
		return nil, err
	}
	held, err := json.Marshal(h)
	if err != nil {
		return nil, err
	}
	return json.RawMessage(strings.TrimSuffix(string(manifest), "}") + `,"hold":` + string(held) + "}"), nil
}

package repo

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
)

// maxMark bounds a mark in bytes.
const maxMark = 64 << 10

// LastHold reads the newest hold of a point: since when, by whom and why.
// ErrNotFound when it was never held.
func (r *Repository) LastHold(ctx context.Context, ref Ref) (Mark, error) {
	newest := "" // numbers have leading zeros: names order like them
	for info, err := range r.store.List(ctx, holdsPrefix+ref.path()+"/") {
		if err != nil {
			return Mark{}, fmt.Errorf("read the hold of %s: %w", ref, err)
		}
		if strings.HasSuffix(info.Key, "-"+markHeld+".json") {
			newest = max(newest, info.Key)
		}
	}
	if newest == "" {
		return Mark{}, fmt.Errorf("the hold of %s: %w", ref, ErrNotFound)
	}
	data, err := readSmall(ctx, r.store, newest, maxMark)
	if err != nil {
		return Mark{}, fmt.Errorf("read the hold of %s: %w", ref, err)
	}
	var m Mark
	if err := json.Unmarshal(data, &m); err != nil {
		return Mark{}, fmt.Errorf("read the hold of %s: %s is %w: %w", ref, newest, ErrDamaged, err)
	}
	return m, nil
}

// sameHold reports whether the newest hold of a point was set by the same one, for
// the same reason.
func (r *Repository) sameHold(ctx context.Context, ref Ref, m Mark) bool {
	last, err := r.LastHold(ctx, ref)
	return err == nil && last.By == m.By && last.Why == m.Why
}

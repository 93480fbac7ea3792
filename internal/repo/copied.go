package repo

import (
	"context"
	"errors"
	"fmt"
)

// ErrNotCopied: a copy of the repository has the manifest of a point and not all of
// its data. Replication copies objects one by one and in no order, so it may still be
// on its way; what the original has is not known from here.
var ErrNotCopied = errors.New("is not in this copy, or not yet")

// Complete is ErrNotCopied for a point of a copy whose data is not all there, by names
// alone: one LIST. Of a repository that is no copy it asks nothing: what is missing
// there is damage, which reading finds.
func (r *Repository) Complete(ctx context.Context, m *Manifest) error {
	if !r.copied {
		return nil
	}
	there := map[string]bool{}
	prefix := m.Ref().DataPrefix()
	for info, err := range r.store.List(ctx, prefix) {
		if err != nil {
			return fmt.Errorf("list data of %s: %w", m.Ref(), err)
		}
		there[info.Key] = true
	}
	for _, o := range m.Objects {
		if !there[prefix+o.Name] {
			return fmt.Errorf("recovery point %s: its object %s %w", m.Ref(), o.Name, ErrNotCopied)
		}
	}
	return nil
}

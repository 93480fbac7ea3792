package connection

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/location"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/runnerdist/usemark"
)

// Marks are the marks beside the runners of one repository. They are listed once,
// however many jobs ask; what is added or removed through here is known without
// listing again. Safe for concurrent use.
type Marks struct {
	store func(ctx context.Context) (objstore.Store, error)

	mu    sync.Mutex
	known map[usemark.Use]bool // nil before they were listed
}

// Marks gives those of the repository at a place, the same for every caller.
func (c *Connection) Marks(at location.Location) *Marks {
	m, _ := c.marks.LoadOrStore(at, &Marks{store: func(ctx context.Context) (objstore.Store, error) { return c.OpenStore(ctx, at, false) }})
	return m.(*Marks) //nolint:forcetypeassert // nothing else is stored
}

// Add sets marks. Setting one again is no error.
func (m *Marks) Add(ctx context.Context, uses ...usemark.Use) error {
	if len(uses) == 0 {
		return nil
	}
	store, err := m.store(ctx)
	if err != nil {
		return fmt.Errorf("marking the runner as used: %w", err)
	}
	m.note(uses, true) // even those that fail may be there
	for _, u := range uses {
		if _, err := store.Put(ctx, u.Key(), nil, objstore.PutOptions{}); err != nil {
			return fmt.Errorf("marking the runner as used: %w", err)
		}
	}
	m.note(uses, true) // a listing may have begun before they were there
	return nil
}

// Of gives the marks of a job, in no order. A bucket that is not there has none.
func (m *Marks) Of(ctx context.Context, job string) ([]usemark.Use, error) {
	m.mu.Lock() // while it is listed too: what is added meanwhile is noted afterwards
	defer m.mu.Unlock()
	if m.known == nil {
		known, err := m.list(ctx)
		if errors.Is(err, objstore.ErrNoBucket) {
			return nil, nil
		}
		if err != nil {
			return nil, fmt.Errorf("listing who uses the runner: %w", err)
		}
		m.known = known
	}
	var uses []usemark.Use
	for u := range m.known {
		if u.Job == job {
			uses = append(uses, u)
		}
	}
	return uses, nil
}

func (m *Marks) list(ctx context.Context) (map[usemark.Use]bool, error) {
	store, err := m.store(ctx)
	if err != nil {
		return nil, err
	}
	known := map[usemark.Use]bool{}
	for info, err := range store.List(ctx, usemark.Folder) {
		if err != nil {
			return nil, err
		}
		if u, ok := usemark.ParseUse(info.Key); ok {
			known[u] = true
		}
	}
	return known, nil
}

// Remove takes marks away; one that is gone is no error, nor is a bucket that is.
func (m *Marks) Remove(ctx context.Context, uses ...usemark.Use) error {
	if len(uses) == 0 {
		return nil
	}
	store, err := m.store(ctx)
	if err == nil {
		keys := make([]string, len(uses))
		for i, u := range uses {
			keys[i] = u.Key()
		}
		err = store.Delete(ctx, keys...)
	}
	if err != nil && !errors.Is(err, objstore.ErrNoBucket) {
		return fmt.Errorf("removing the marks of what used the runner: %w", err)
	}
	m.note(uses, false)
	return nil
}

// note keeps what is known right; nothing is known before it was listed.
func (m *Marks) note(uses []usemark.Use, there bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.known == nil {
		return
	}
	for _, u := range uses {
		if there {
			m.known[u] = true
		} else {
			delete(m.known, u)
		}
	}
}

package repo

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore"
)

// A mark is a small write-once object with one fact about a point. Marks of a
// point are numbered; the highest number tells the state, and its name alone
// does, so listing needs no reading:
//
//	holds/<source>/<kind>/<id>/000001-held.json
//	holds/<source>/<kind>/<id>/000002-released.json
//	condemned/<source>/<kind>/<id>/000001-condemned.json
const (
	markHeld      = "held"
	markReleased  = "released"
	markCondemned = "condemned"
	markCleared   = "cleared"
)

// Mark is one such fact.
type Mark struct {
	Format int       `json:"format"`
	Point  string    `json:"point"`
	State  string    `json:"state"`
	At     time.Time `json:"at"`
	By     string    `json:"by,omitempty"`  // host and user
	Why    string    `json:"why,omitempty"` // of a condemnation: what was found
}

// Hold keeps a point from every rule until it is released.
func (r *Repository) Hold(ctx context.Context, ref Ref, m Mark) error {
	return r.mark(ctx, holdsPrefix, ref, markHeld, m)
}

// Release ends a hold.
func (r *Repository) Release(ctx context.Context, ref Ref, m Mark) error {
	return r.mark(ctx, holdsPrefix, ref, markReleased, m)
}

// Condemn marks a point as bad: it no longer counts as verified, uses no slot
// of a rule and stays until somebody looks.
func (r *Repository) Condemn(ctx context.Context, ref Ref, m Mark) error {
	return r.mark(ctx, condemnedPrefix, ref, markCondemned, m)
}

// Clear takes a condemnation back, after a verification that found nothing.
func (r *Repository) Clear(ctx context.Context, ref Ref, m Mark) error {
	return r.mark(ctx, condemnedPrefix, ref, markCleared, m)
}

func (r *Repository) mark(ctx context.Context, prefix string, ref Ref, state string, m Mark) error {
	current, err := r.markState(ctx, prefix, ref)
	if err != nil {
		return err
	}
	if current == state || current == "" && (state == markReleased || state == markCleared) {
		return nil
	}
	m.Format, m.Point, m.State, m.At = 1, ref.String(), state, m.At.UTC()
	data, err := json.Marshal(m)
	if err != nil {
		return err
	}
	_, err = putNext(ctx, r.store, prefix+ref.path()+"/", func(n int) string { return fmt.Sprintf("%06d-%s.json", n, state) }, data)
	if err != nil {
		return fmt.Errorf("mark %s as %s: %w", ref, state, err)
	}
	return nil
}

// markState returns the state of one point's marks below prefix, "" for none.
func (r *Repository) markState(ctx context.Context, prefix string, ref Ref) (string, error) {
	states, err := r.markStates(ctx, prefix, prefix+ref.path()+"/")
	if err != nil {
		return "", err
	}
	return states[ref.path()], nil
}

// markStates lists marks; the result is keyed by <source>/<kind>/<id>, escaped.
func (r *Repository) markStates(ctx context.Context, prefix, list string) (map[string]string, error) {
	states := map[string]string{}
	highest := map[string]int{}
	for info, err := range r.store.List(ctx, list) {
		if err != nil {
			return nil, fmt.Errorf("list %s of %s: %w", strings.TrimSuffix(prefix, "/"), r.URL(), err)
		}
		path, name, ok := cutLast(strings.TrimPrefix(info.Key, prefix))
		number, state, ok2 := strings.Cut(strings.TrimSuffix(name, ".json"), "-")
		n, err := strconv.Atoi(number)
		if !ok || !ok2 || err != nil {
			// A mark we can not read may be a hold: err on the side of keeping.
			states[path], highest[path] = markHeld, 1<<31
			continue
		}
		// Two marks raced for one number: the state that keeps wins.
		if n > highest[path] || n == highest[path] && (state == markHeld || state == markCondemned) {
			states[path], highest[path] = state, n
		}
	}
	return states, nil
}

func cutLast(s string) (before, after string, ok bool) {
	i := strings.LastIndexByte(s, '/')
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+1:], true
}

// Held tells whether a point is held right now.
func (r *Repository) Held(ctx context.Context, ref Ref) (bool, error) {
	state, err := r.markState(ctx, holdsPrefix, ref)
	return state == markHeld, err
}

// putOnce writes a small JSON object that nobody may overwrite.
func (r *Repository) putOnce(ctx context.Context, key string, value any) error {
	data, err := json.Marshal(value)
	if err != nil {
		return err
	}
	_, err = r.store.Put(ctx, key, data, objstore.PutOptions{Condition: objstore.Condition{IfAbsent: true}, ContentType: "application/json"})
	return err
}

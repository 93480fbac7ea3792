package repo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
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
//
// Tier marks are numbered alike and have states of their own: see TierMark.
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

// Hold keeps a point from every rule until it is released. A hold by somebody else,
// or for another reason, is a mark of its own over one that is in force: who ends
// only their own sees it (LastHold). It fails when a
// deletion of the point has begun: see Delete for how the two meet. In a repository
// that is protected the store holds it too, see Protection.
func (r *Repository) Hold(ctx context.Context, ref Ref, m Mark) error {
	if err := r.mark(ctx, holdsPrefix, ref, markHeld, m); err != nil {
		return err
	}
	_, err := r.store.Head(ctx, ref.tombstoneKey(), "")
	if errors.Is(err, objstore.ErrNotFound) {
		if err := r.legalHold(ctx, ref, true); err != nil {
			return fmt.Errorf("hold %s: it is marked, and no run deletes it, but the store does not hold it: %w", ref, err)
		}
		return nil
	}
	if err != nil {
		return fmt.Errorf("hold %s: it is marked, but whether a deletion is under way could not be seen: %w", ref, err)
	}
	if _, err := r.store.Head(ctx, ref.ManifestKey(), ""); errors.Is(err, objstore.ErrNotFound) {
		return fmt.Errorf("hold %s: %w: it was just deleted", ref, ErrNotFound)
	}
	return fmt.Errorf("hold %s: %w: a run is deleting it, or died before it could; look with `pgbackup-runner list` whether it is still there, the hold keeps it then", ref, ErrLocked)
}

// Release ends a hold.
func (r *Repository) Release(ctx context.Context, ref Ref, m Mark) error {
	if err := r.legalHold(ctx, ref, false); err != nil {
		return fmt.Errorf("release %s: %w", ref, err)
	}
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
	states, err := r.markStates(ctx, prefix, prefix+ref.path()+"/")
	if err != nil {
		return err
	}
	current := states[ref.path()]
	if current.unreadable != "" && !keeps(state) {
		return fmt.Errorf("mark %s as %s: %w: the mark %s is not understood and counts as %s; remove it first", ref, state, ErrDamaged, current.unreadable, current.state)
	}
	if current.state == "" && !keeps(state) || current.state == state && (state != markHeld || r.sameHold(ctx, ref, m)) {
		return nil
	}
	m.Format, m.Point, m.State, m.At = 1, ref.String(), state, m.At.UTC()
	data, err := json.Marshal(m)
	if err != nil {
		return err
	}
	name := func(n int) string { return fmt.Sprintf("%06d-%s.json", n, state) }
	err = putNext(ctx, r.store, prefix+ref.path()+"/", current.number+1, name, data)
	if err != nil {
		return fmt.Errorf("mark %s as %s: %w", ref, state, err)
	}
	return nil
}

// keeps tells the states that hold on to a point from those that let go.
func keeps(state string) bool { return state == markHeld || state == markCondemned }

// markState is what the marks of one point add up to.
type markState struct {
	state      string // "" for none
	number     int    // of the newest mark
	unreadable string // the key of a mark that is not understood
}

// markStates lists marks; the result is keyed by <source>/<kind>/<id>, escaped.
func (r *Repository) markStates(ctx context.Context, prefix, list string) (map[string]markState, error) {
	keeping := markHeld
	if prefix == condemnedPrefix {
		keeping = markCondemned
	}
	var failed error
	found := readMarkKeys(func(yield func(objstore.Info) bool) {
		for info, err := range r.store.List(ctx, list) {
			if err != nil {
				failed = fmt.Errorf("list %s of %s: %w", strings.TrimSuffix(prefix, "/"), r.URL(), err)
				return
			}
			if !yield(info) {
				return
			}
		}
	}, prefix)
	if failed != nil {
		return nil, failed
	}
	states := make(map[string]markState, len(found))
	for path, marks := range found {
		states[path] = foldMarks(marks, keeping, func(placedMark) bool { return true })
	}
	return states, nil
}

// placedMark is a mark as a listing shows it.
type placedMark struct {
	key    string
	number int    // 0 for a key that is not understood
	state  string // of a tier mark: <tier>@<policy>
	at     time.Time
}

// readMarkKeys reads the keys of marks, by <source>/<kind>/<id>, escaped.
func readMarkKeys(infos iter.Seq[objstore.Info], prefix string) map[string][]placedMark {
	marks := map[string][]placedMark{}
	for info := range infos {
		path, name := cutLast(strings.TrimPrefix(info.Key, prefix))
		m := placedMark{key: info.Key, at: info.Modified}
		number, state, err := parseMark(name)
		if prefix == tiersPrefix {
			number, state, err = parseTierMark(name)
		}
		if err == nil {
			m.number, m.state = number, state
		}
		marks[path] = append(marks[path], m)
	}
	return marks
}

// foldMarks adds up the marks of one point that counts accepts. A mark that is
// not understood counts as keeping, one that keeps the point: it may be damaged,
// or from a newer program.
func foldMarks(marks []placedMark, keeping string, counts func(placedMark) bool) markState {
	var sum markState
	for _, m := range marks {
		switch {
		case !counts(m):
		case m.number == 0:
			sum.unreadable = m.key
		// Two marks raced for one number: the state that keeps wins.
		case m.number > sum.number || m.number == sum.number && keeps(m.state):
			sum.state, sum.number = m.state, m.number
		}
	}
	if sum.unreadable != "" {
		sum.state = keeping
	}
	return sum
}

func parseMark(name string) (int, string, error) {
	number, state, _ := strings.Cut(strings.TrimSuffix(name, ".json"), "-")
	n, err := strconv.Atoi(number)
	switch {
	case err != nil || n < 1 || !strings.HasSuffix(name, ".json"):
		return 0, "", fmt.Errorf("%q is not the name of a mark", name)
	case state != markHeld && state != markReleased && state != markCondemned && state != markCleared:
		return 0, "", fmt.Errorf("%q is not a state of a mark", state)
	}
	return n, state, nil
}

func cutLast(s string) (before, after string) {
	i := strings.LastIndexByte(s, '/')
	if i < 0 {
		return s, ""
	}
	return s[:i], s[i+1:]
}

// Held tells whether a point is held right now.
func (r *Repository) Held(ctx context.Context, ref Ref) (bool, error) {
	marks, err := r.markStates(ctx, holdsPrefix, holdsPrefix+ref.path()+"/")
	return marks[ref.path()].state == markHeld, err
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

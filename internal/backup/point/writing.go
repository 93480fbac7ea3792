package point

import (
	"context"
	"fmt"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
)

// maxSkipped bounds what a manifest lists as left out, so that a directory of a
// million unreadable files still has a manifest that can be read.
const maxSkipped = 1000

// Writing is a point that is being filled. Its methods belong to one goroutine.
type Writing struct {
	Options
	*repo.PointWriter

	kind        string
	start       time.Time // on our clock
	serverAsked time.Time // when the server told its clock
	newest      *repo.Listed
	skipped     []repo.Skipped
	unlisted    int // left out of skipped
	durations   map[string]float64
	result      *Result
}

// Timed measures a step for the manifest.
func (w *Writing) Timed(step string, f func() error) error {
	w.Progress.At(step)
	begun := time.Now()
	err := f()
	w.durations[step] = time.Since(begun).Seconds()
	return err
}

// Skip notes in the manifest that something is not in the backup, and why.
func (w *Writing) Skip(what, why string) {
	if len(w.skipped) < maxSkipped {
		w.skipped = append(w.skipped, repo.Skipped{What: what, Why: why})
		return
	}
	w.unlisted++
	w.skipped[maxSkipped-1] = repo.Skipped{What: fmt.Sprintf("%d more", w.unlisted+1), Why: "the list ends here"}
}

// Warn tells the user something that does not make the backup worse than none:
// exit code 3.
func (w *Writing) Warn(format string, args ...any) {
	w.result.Warnings = append(w.result.Warnings, fmt.Sprintf(format, args...))
}

// ServerAsked says when, on our clock, the server told its own. Without it the
// start of the point counts.
func (w *Writing) ServerAsked(at time.Time) { w.serverAsked = at }

// begin returns the start time of the new point. An id carries the second, and
// points are ordered by it: a second backup within the second of the one before
// waits for the next, or "latest" could mean the older of the two.
func (w *Writing) begin(ctx context.Context) (time.Time, error) {
	if w.Imported != nil {
		return w.Start, nil
	}
	points, err := w.Repo.List(ctx, repo.Filter{Source: w.Source, Kind: w.kind})
	if err != nil {
		return time.Time{}, err
	}
	now := w.Clock()
	if len(points) == 0 {
		return now, nil
	}
	if points[0].Problem == nil {
		w.newest = &points[0]
	}
	wait := points[0].Start.Add(time.Second).Sub(now)
	if wait <= 0 {
		return now, nil
	}
	if wait > time.Second {
		w.Warn("recovery point %s is dated %s in the future: one of the clocks is or was wrong, and until then it counts as newer than this backup", points[0].ID, (wait - time.Second).Round(time.Second))
		return now, nil
	}
	select {
	case <-time.After(wait):
		return w.Clock(), nil
	case <-ctx.Done():
		return time.Time{}, context.Cause(ctx)
	}
}

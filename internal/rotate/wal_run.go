package rotate

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
)

// walBatch is how many files are deleted between two looks at whether they still may.
const walBatch = 1000

// runWAL deletes of the archives of a source what no base backup needs that is there
// now. The caller holds the source's lease, so that no base backup of it is running
// whose start nobody knows, and has deleted the base backups that go.
func (opts Options) runWAL(ctx context.Context, lease *repo.Lease, source string, part *Outcome) error {
	found, _, err := opts.survey(ctx, repo.Filter{Source: source, Kind: opts.Filter.Kind})
	if err != nil || len(found) == 0 {
		return err
	}
	listed, err := opts.Repo.List(ctx, repo.Filter{Source: source})
	if err != nil {
		return err
	}
	if err := loadSome(ctx, opts.Repo, listed, isPhysical); err != nil {
		return err
	}
	if opts.archives, err = opts.archivesOf(ctx, found); err != nil {
		return err
	}
	for _, server := range found.servers() {
		w, err := opts.decideWAL(ctx, found[server], listed)
		if err != nil {
			return err
		}
		if err := opts.deleteWAL(ctx, lease, w, part); err != nil {
			return err
		}
		if w.doubt == "" {
			opts.extendWALLocks(ctx, w, part)
		}
	}
	return nil
}

// deleteWAL deletes what was decided, and tells what really went.
func (opts Options) deleteWAL(ctx context.Context, lease *repo.Lease, w *walWork, part *Outcome) error {
	doomed := w.doomed()
	gone := map[int]bool{}
	why := ""
	tell := func() {
		part.addWAL(w.outcome(func(i int) (bool, string) {
			keep, reason := w.fate(i)
			if !keep && !gone[i] {
				return true, why
			}
			return keep, reason
		}))
	}
	defer tell()
	if len(doomed) == 0 {
		return nil
	}
	if !opts.Repo.HasKey() {
		why = "not deleted: manifests can not be authenticated without the repository's key"
		return fmt.Errorf("%w: manifests can not be authenticated, so no WAL is deleted; give --key REFERENCE, such as file:/etc/pgbackup/key", repo.ErrNoKey)
	}
	if err := opts.look(ctx); err != nil {
		why = policyChanged
		return err
	}
	if err := checkClock(ctx, lease); err != nil {
		why = "not deleted: the clock is in doubt"
		return err
	}
	watched := watch{opts: &opts, last: time.Now()}
	var retained []int
	for batch := range slices.Chunk(doomed, walBatch) {
		watched.points = lookEveryPoint // a batch is many
		if err := watched.beforeDeletion(ctx); err != nil {
			why = policyChanged
			return err
		}
		files := make([]repo.WALFile, len(batch))
		for n, i := range batch {
			files[n] = w.files[i]
		}
		why = "not deleted: an error came before"
		err := opts.Repo.DeleteWAL(ctx, files)
		switch {
		case errors.Is(err, repo.ErrRetained):
			why = "locked by the store"
			opts.Log.Info("some WAL stays until its lock ends", "archive", w.survey.Archive.String(), "error", err)
			retained = append(retained, batch...)
			continue
		case err != nil:
			return err
		}
		for _, i := range batch {
			gone[i] = true
		}
		first, last := files[0], files[len(files)-1]
		opts.Log.Info("deleted WAL", "archive", w.survey.Archive.String(), "files", len(files), "from", first.Name, "to", last.Name, "policy", opts.Policy)
	}
	if len(retained) > 0 {
		why = "locked by the store"
		return opts.noteGone(ctx, w, retained, gone)
	}
	return nil
}

// extendWALLocks locks what stays by the rules for longer, where the repository is
// protected. What fails is a warning: the next rotation repeats it.
func (opts Options) extendWALLocks(ctx context.Context, w *walWork, part *Outcome) {
	if _, is, err := opts.Repo.Protection(ctx); err == nil && !is {
		return
	}
	var stay []repo.WALFile
	for i, f := range w.files {
		if w.plan.Keeps(i) {
			stay = append(stay, f)
		}
	}
	a := w.survey.Archive
	done, err := opts.Repo.ExtendWALLocks(ctx, a, stay, opts.By)
	if done.Points > 0 {
		opts.Log.Info("locked WAL for longer", "archive", a.String(), "files", done.Points, "until", done.Until.Format(time.RFC3339))
	}
	if err != nil {
		part.warn(a.Source, fmt.Sprintf("not all WAL of %s that stays is locked for as long as the repository says, the next rotation tries again: %v", a, err))
	}
}

// noteGone finds out which of some files are gone.
func (opts Options) noteGone(ctx context.Context, w *walWork, files []int, gone map[int]bool) error {
	left, err := opts.Repo.ListWAL(ctx, w.survey.Archive, 0)
	if err != nil {
		return err
	}
	there := make(map[string]bool, len(left))
	for _, f := range left {
		there[f.Key()] = true
	}
	for _, i := range files {
		gone[i] = !there[w.files[i].Key()]
	}
	return nil
}

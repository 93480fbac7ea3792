package rotate

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/archive"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/retention"
)

// walWork is the decision about the archive of one server. It is made for the base
// backups that stay, so it comes after the one about these, and again when they are
// really gone.
type walWork struct {
	survey  *archive.Survey
	files   []repo.WALFile
	stays   map[repo.Ref]bool // base backups
	decided retention.WALInput
	plan    retention.WALPlan
	locked  map[int]string // files that the store locks, and until when
	doubt   string
}

// fate of a file: whether it stays, and why.
func (w *walWork) fate(i int) (keep bool, reason string) {
	switch {
	case w.doubt != "":
		return true, w.doubt
	case !w.plan.Keeps(i) && w.locked[i] != "":
		return true, w.locked[i]
	}
	return w.plan.Keeps(i), w.plan.Reason(i)
}

// doomed are the files that go, in the order of deletion.
func (w *walWork) doomed() []int {
	if w.doubt != "" {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(w.plan.Deletions()), func(i int) bool { return w.locked[i] != "" })
}

// planWAL decides about the archives for an outcome that nothing was deleted of yet.
func (opts Options) planWAL(ctx context.Context, listed []repo.Listed, found surveys, out *Outcome) error {
	goes := map[repo.Ref]bool{}
	for _, d := range out.Delete {
		goes[d.ref] = true
	}
	for _, server := range found.servers() {
		var staying []repo.Listed
		for _, l := range listed {
			if sourceOf(l) == server.Source && !goes[l.Ref] {
				staying = append(staying, l)
			}
		}
		w, err := opts.decideWAL(ctx, found[server], staying)
		if err != nil {
			return err
		}
		out.addWAL(w.outcome(w.fate))
	}
	return nil
}

func (s surveys) servers() []retention.Server {
	return slices.SortedFunc(maps.Keys(s), func(a, b retention.Server) int {
		return cmp.Or(cmp.Compare(a.Source, b.Source), cmp.Compare(a.System, b.System))
	})
}

// decideWAL decides about one archive, given all points of its source that stay, with
// the manifests of the base backups loaded.
func (opts Options) decideWAL(ctx context.Context, s *archive.Survey, staying []repo.Listed) (*walWork, error) {
	w := &walWork{survey: s, stays: map[repo.Ref]bool{}, locked: map[int]string{}}
	files, err := opts.Repo.ListWAL(ctx, s.Archive, 0)
	if err != nil {
		return nil, err
	}
	w.files = files
	w.decided = retention.WALInput{SegmentSize: s.SegmentSize, Lines: linesOf(s), Files: make([]retention.WALFile, len(files))}
	windows, doubt, err := opts.windows(ctx, staying)
	if err != nil {
		return nil, err
	}
	if w.doubt = doubt; doubt == "" {
		w.doubt, err = opts.doubtAboutBases(ctx, s.Archive, staying)
	}
	switch {
	case err != nil:
		return nil, err
	case s.SegmentSize == 0 && w.doubt == "":
		w.doubt = "there is no segment in it yet"
	}
	for i, f := range files {
		w.decided.Files[i] = walFileOf(f, max(s.SegmentSize, 1<<20))
	}
	for i := range staying { // newest first
		l := &staying[i]
		if l.Kind != retention.KindPhysical || l.System != "" && l.System != s.Archive.System {
			continue
		}
		w.stays[l.Ref] = true
		b := retention.WALBase{ID: l.ID, Window: windows[l.Ref]}
		if m := l.Manifest; m != nil && m.Physical != nil && m.Physical.SegmentSize == s.SegmentSize && l.System != "" {
			b.Timeline, b.Start, b.Stop = m.Physical.Timeline, m.Physical.StartLSN, m.Physical.StopLSN
		}
		w.decided.Bases = append(w.decided.Bases, b)
	}
	if w.doubt != "" {
		return w, nil
	}
	w.plan = retention.WAL(w.decided)
	if err := guardWAL(w, staying); err != nil {
		return nil, err
	}
	return w, opts.spareLockedWAL(ctx, w)
}

// doubtAboutBases says why nothing of an archive can be decided: what is known of the
// base backups is not all of it, or not to be relied on.
func (opts Options) doubtAboutBases(ctx context.Context, a repo.WALArchive, staying []repo.Listed) (string, error) {
	for source, keys := range unreadableSources(staying) {
		return fmt.Sprintf("nothing of %s is deleted while %s can not be read", source, strings.Join(keys, ", ")), nil
	}
	var good []repo.Listed
	for _, l := range staying {
		if l.Kind == retention.KindPhysical && l.System == a.System && l.Verified() && l.Deleted.IsZero() {
			good = append(good, l)
		}
	}
	if len(good) == 0 {
		return "", nil // then nothing goes for that reason
	}
	missing, err := opts.Repo.MissingData(ctx, a.Source, good)
	if err != nil {
		return "", err
	}
	for ref := range missing {
		return fmt.Sprintf("nothing of the WAL of %s is deleted while base backup %s, which stays, lacks its data", a.Source, ref.ID), nil
	}
	return "", nil
}

// windows says of the base backups of a source that stay which keep all WAL from their
// start on, and why: by these rules, what they are held to, and those of every other
// policy that made one of them. doubt is why that can not be told.
func (opts Options) windows(ctx context.Context, staying []repo.Listed) (windows map[repo.Ref]string, doubt string, err error) {
	windows = map[repo.Ref]string{}
	add := func(rules retention.Rules, why string) {
		for _, bases := range decideKeys(staying, rules, opts.Now, opts.archives).Windows {
			for _, p := range bases {
				if windows[refOf(p)] == "" {
					windows[refOf(p)] = why
				}
			}
		}
	}
	add(opts.Rules, windowReason(opts.Rules))
	for _, r := range opts.Restrict {
		add(r.Rules, r.Why)
	}
	if opts.Policy == "" {
		return windows, "", nil
	}
	others := map[string]bool{}
	for i := range staying {
		if m := staying[i].Manifest; m != nil && m.Kind == retention.KindPhysical && madeUnder(m) != "" && madeUnder(m) != opts.Policy {
			others[madeUnder(m)] = true
		}
	}
	for _, name := range slices.Sorted(maps.Keys(others)) {
		doubt, err := opts.otherWindows(ctx, name, add)
		if doubt != "" || err != nil {
			return windows, doubt, err
		}
	}
	return windows, "", nil
}

// otherWindows adds those of another policy, which has the say that it has about
// points, see spareOthers.
func (opts Options) otherWindows(ctx context.Context, name string, add func(retention.Rules, string)) (doubt string, err error) {
	rev, err := opts.hasSay(ctx, name)
	switch {
	case errors.Is(err, repo.ErrNotFound):
		return "", nil
	case errors.Is(err, repo.ErrDamaged), errors.Is(err, repo.ErrNewerFormat):
		return fmt.Sprintf("policy %s, which made a base backup, can not be read", name), nil
	case err != nil:
		return "", err
	}
	rules, err := rev.Document.Rules()
	if err != nil {
		return fmt.Sprintf("policy %s, which made a base backup, can not be applied: %v", name, err), nil
	}
	add(rules, "policy "+name+", which made a base backup, keeps it")
	held, err := restrictionsAsOf(ctx, opts.Repo, rev, opts.othersAsOf)
	if err != nil {
		return "", err
	}
	for _, r := range held {
		add(r.Rules, r.Why)
	}
	return "", nil
}

func windowReason(rules retention.Rules) string {
	if rules.WAL.IsZero() {
		return "for recovery from the base backups that stay"
	}
	return "needed for point-in-time recovery: wal " + rules.WAL.String()
}

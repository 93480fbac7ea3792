package rotate

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/archive"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/pgwal"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/retention"
)

// surveys are what there is of archived WAL, by server.
type surveys map[retention.Server]*archive.Survey

// blind says of sources why their archives can not be made out, such as a header that
// is damaged. What their base backups are needed for nobody knows then.
type blind map[string]error

// archives is what the rules need to know of them.
type archives map[retention.Server]retention.Archive

func serverOf(a repo.WALArchive) retention.Server {
	return retention.Server{Source: a.Source, System: a.System}
}

// survey looks at the WAL archives of the sources that a rotation is for. One of
// logical backups alone has nothing to do with them.
func (opts Options) survey(ctx context.Context, f repo.Filter) (surveys, blind, error) {
	if f.Kind != "" && f.Kind != retention.KindPhysical {
		return nil, nil, nil
	}
	all, err := opts.Repo.WALArchives(ctx, f.Source)
	if err != nil {
		return nil, nil, err
	}
	found, unseen := surveys{}, blind{}
	for _, a := range all {
		if opts.Match != nil && !opts.Match(a.Source) {
			continue
		}
		s, err := archive.Look(ctx, opts.Repo, a, archive.Options{Headers: true})
		switch {
		case errors.Is(err, repo.ErrDamaged), errors.Is(err, repo.ErrNewerFormat), errors.Is(err, repo.ErrNoKey):
			unseen[a.Source] = err
		case err != nil:
			return nil, nil, err
		default:
			found[serverOf(a)] = s
		}
	}
	for server := range found {
		if unseen[server.Source] != nil {
			delete(found, server)
		}
	}
	return found, unseen, nil
}

// spareBlind keeps the base backups of sources whose archives can not be made out, with
// all of their WAL.
func (o *Outcome) spareBlind(unseen blind) {
	for source, err := range unseen {
		o.warn(source, fmt.Sprintf("no base backup and no WAL of %s is deleted: %v", source, err))
	}
	o.spareIf(keptForNow, func(d Decision) string {
		if d.Kind != retention.KindPhysical || unseen[d.Source] == nil {
			return ""
		}
		return "not deleted: what is in the WAL archive of its source can not be made out"
	})
}

func (opts Options) archivesOf(ctx context.Context, found surveys) (archives, error) {
	known := archives{}
	for server, survey := range found {
		a := retention.Archive{Newest: newestMoment(survey), Stored: survey.NewestStored, SegmentSize: survey.SegmentSize, Lines: linesOf(survey)}
		for i := range a.Lines {
			line := &a.Lines[i]
			if line.Newest.IsZero() {
				if err := opts.dateHistory(ctx, survey.Archive, line); err != nil {
					return nil, err
				}
			}
			if line.Newest.After(a.Stored) {
				a.Stored = line.Newest
			}
		}
		known[server] = a
	}
	return known, nil
}

// dateHistory dates a timeline of which nothing but the history file is archived: the
// server has just begun it, or it was given up at once.
func (opts Options) dateHistory(ctx context.Context, a repo.WALArchive, line *retention.Line) error {
	for f, err := range opts.Repo.EachWAL(ctx, a, line.ID) {
		if err != nil {
			return err
		}
		if f.Modified.After(line.Newest) {
			line.Newest = f.Modified
		}
	}
	return nil
}

// newestMoment is the newest one that an archive reaches: the newest commit in it. The
// store's time counts where none is known, or where it is earlier: of two clocks the
// one deletes less that is behind.
func newestMoment(s *archive.Survey) time.Time {
	if s.NewestCommit.IsZero() || s.NewestStored.Before(s.NewestCommit) && !s.NewestStored.IsZero() {
		return s.NewestStored
	}
	return s.NewestCommit
}

func linesOf(s *archive.Survey) []retention.Line {
	var lines []retention.Line
	for _, t := range s.Timelines {
		line := retention.Line{ID: t.ID, Known: t.History != nil || t.ID == 1}
		if t.History != nil {
			line.Ancestors = t.History.Ancestors
		}
		ranges := t.Ranges
		if t.Partial != nil { // it counts for when and how far, and is no range of whole segments
			line.Newest, line.Reached = t.Partial.LastStored, t.Partial.To
		}
		for _, r := range ranges {
			line.Reached = max(line.Reached, r.To)
			line.Ranges = append(line.Ranges, retention.Range{From: r.From, To: r.To})
			if r.LastStored.After(line.Newest) {
				line.Newest = r.LastStored
			}
		}
		lines = append(lines, line)
	}
	return lines
}

// physicalSources are those of which there are base backups.
func physicalSources(listed []repo.Listed) map[string]bool {
	sources := map[string]bool{}
	for i := range listed {
		if l := &listed[i]; l.Kind == retention.KindPhysical && l.Source != "" {
			sources[l.Source] = true
		}
	}
	return sources
}

// tellNoArchive says where the rule wal keeps nothing that it was meant for.
func (opts Options) tellNoArchive(listed []repo.Listed, found surveys, unseen blind, f repo.Filter, out *Outcome) {
	if opts.Rules.WAL.IsZero() || f.Kind != "" && f.Kind != retention.KindPhysical {
		return
	}
	sources := physicalSources(listed)
	for server := range found {
		delete(sources, server.Source)
	}
	for source := range unseen {
		delete(sources, source)
	}
	for source := range sources {
		out.warn(source, fmt.Sprintf("the policy says wal %s, and no WAL of %s is archived: its base backups can be recovered to their end and no further; set up `pgbackup-runner wal push` or `wal receive`", opts.Rules.WAL, source))
	}
}

// walFileOf is what the decision about a file needs to know of it.
func walFileOf(f repo.WALFile, segmentSize uint64) retention.WALFile {
	kind := f.Kind()
	w := retention.WALFile{Kind: kind, Timeline: f.Timeline}
	if kind == pgwal.HistoryFile || kind == pgwal.NoFile {
		return w
	}
	segment, err := pgwal.ParseSegment(f.Name[:24], segmentSize)
	if err != nil {
		w.Kind = pgwal.NoFile // of another size of segments
		return w
	}
	w.Number = segment.Number
	return w
}

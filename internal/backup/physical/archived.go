package physical

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/pgwal"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/postgres/basemanifest"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
)

// Errors about the log of the server, without which a base backup is nothing.
var (
	// ErrNoArchive: the repository has no WAL of this server.
	ErrNoArchive = errors.New("no WAL of this server is in the repository")
	// ErrOtherName: its log is archived under the name of another source.
	ErrOtherName = errors.New("the server's WAL is archived under another name")
	// ErrArchiveStalled: it has some, and nothing new came for long.
	ErrArchiveStalled = errors.New("the server's WAL stopped coming into the repository")
	// ErrWALMissing: what the backup needs did not come in time.
	ErrWALMissing = errors.New("the WAL that the backup needs did not come into the repository")
)

const (
	// behind is how many segments an archive may be behind its server before a backup
	// is refused: an archiver that works catches up with that many while one is taken.
	behind = 64
	// firstWait is how long the first segment of a new archive is waited for.
	firstWait = time.Minute
)

// findArchive finds the archive of the server's log. It has the source's name; that of
// another source with the same server is named, and not used: retention and recovery
// look for the log under the name of its base backups.
func findArchive(ctx context.Context, r *repo.Repository, source, system string) (repo.WALArchive, error) {
	want := repo.WALArchive{Source: source, System: system}
	if err := want.Check(); err != nil {
		return want, err
	}
	archives, err := r.WALArchives(ctx, "")
	if err != nil {
		return want, err
	}
	var others []string
	for _, a := range archives {
		if a == want {
			return want, nil
		}
		if a.System == system {
			others = append(others, a.Source)
		}
	}
	if len(others) > 0 {
		slices.Sort(others)
		return want, fmt.Errorf("%w: %s and not %s; a base backup and its log have the same name: give --source %s", ErrOtherName, strings.Join(others, ", "), source, others[0])
	}
	return want, fmt.Errorf("%w as %s (system identifier %s): a base backup without the log written meanwhile can not be restored. Archive it first: `pgbackup-runner wal settings` says how, with archive_command or `pgbackup-runner wal receive`; where that is done already, SELECT pg_switch_wal() makes the server archive for the first time",
		ErrNoArchive, source, system)
}

// alive holds that something of the last segments before at is in the archive. Of a
// timeline that just began nothing may be: its parents' files do.
func alive(ctx context.Context, r *repo.Repository, a repo.WALArchive, t pgwal.Timeline, at pgwal.LSN, size uint64) error {
	now := pgwal.SegmentAt(t, at, size)
	oldest := pgwal.Segment{Timeline: t, Number: now.Number - min(now.Number, behind)}
	const neighbours = 22 // digits that a segment shares with up to 255 others
	for _, tl := range []pgwal.Timeline{t, t - 1, t - 2} {
		if tl == 0 {
			break
		}
		first, last := pgwal.Segment{Timeline: tl, Number: oldest.Number}.Name(size), pgwal.Segment{Timeline: tl, Number: now.Number}.Name(size)
		for _, begin := range slices.Compact([]string{last[:neighbours], first[:neighbours]}) {
			files, err := r.WALNamed(ctx, a, begin)
			if err != nil {
				return err
			}
			for _, f := range files {
				if f.Name[:len(first)] >= first {
					return nil
				}
			}
		}
	}
	return fmt.Errorf("%w: of the last %d segments, up to %s, none is there. See SELECT * FROM pg_stat_archiver on the server or the log of `pgbackup-runner wal receive`, and `pgbackup-runner wal status`", ErrArchiveStalled, behind, now.Name(size))
}

// poll is how often the store is asked for what is missing: at once, then less and less.
func poll(n int) time.Duration { return min(100*time.Millisecond<<min(n, 6), 5*time.Second) }

// waitForArchive waits for a new archive to begin: the start of a base backup makes
// the server finish a segment.
func waitForArchive(ctx context.Context, r *repo.Repository, source, system string, limit time.Duration) (repo.WALArchive, error) {
	deadline := time.Now().Add(min(limit, firstWait))
	for n := 0; ; n++ {
		a, err := findArchive(ctx, r, source, system)
		if !errors.Is(err, ErrNoArchive) || time.Now().After(deadline) {
			return a, err
		}
		if err := sleep(ctx, poll(n)); err != nil {
			return a, err
		}
	}
}

// waitForWAL returns when all that the ranges name is in the archive.
func waitForWAL(ctx context.Context, r *repo.Repository, a repo.WALArchive, ranges []basemanifest.Range, size uint64, limit time.Duration) error {
	want := needed(ranges, size)
	deadline := time.Now().Add(limit)
	if len(want) > behind { // hours of WAL: listed at once
		var err error
		if want, err = listed(ctx, r, a, ranges, want); err != nil {
			return err
		}
	}
	for n := 0; ; {
		for len(want) > 0 {
			there, err := stored(ctx, r, a, want[0])
			if err != nil {
				return err
			}
			if !there {
				break
			}
			want, n = want[1:], 0
		}
		if len(want) == 0 {
			return nil
		}
		if !time.Now().Before(deadline) {
			return fmt.Errorf("%w within %s: %s is not there, the first of %d. Nothing is stored of the backup. See SELECT * FROM pg_stat_archiver on the server or the log of `pgbackup-runner wal receive`; wal_timeout sets how long to wait (a standby finishes no segment by itself)",
				ErrWALMissing, limit, want[0].names[0], len(want))
		}
		if err := sleep(ctx, poll(n)); err != nil {
			return err
		}
		n++
	}
}

// stored looks for one segment.
func stored(ctx context.Context, r *repo.Repository, a repo.WALArchive, s segment) (bool, error) {
	var files []repo.WALFile
	for _, name := range s.names {
		more, err := r.WALNamed(ctx, a, name)
		if err != nil {
			return false, err
		}
		files = append(files, more...)
	}
	return s.has(files), nil
}

// listed is what is missing, by one listing of each timeline.
func listed(ctx context.Context, r *repo.Repository, a repo.WALArchive, ranges []basemanifest.Range, want []segment) (missing []segment, err error) {
	there := map[string][]repo.WALFile{}
	for _, s := range want {
		for _, name := range s.names {
			there[name] = nil
		}
	}
	for _, rg := range ranges {
		for f, err := range r.EachWAL(ctx, a, rg.Timeline) {
			if err != nil {
				return nil, err
			}
			if _, wanted := there[f.Name]; wanted {
				f.Name = strings.Clone(f.Name)
				there[f.Name] = append(there[f.Name], f)
			}
		}
	}
	for _, s := range want {
		var files []repo.WALFile
		for _, name := range s.names {
			files = append(files, there[name]...)
		}
		if !s.has(files) {
			missing = append(missing, s)
		}
	}
	return missing, nil
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

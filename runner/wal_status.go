package main

import (
	"cmp"
	"context"
	"errors"
	"os"
	"slices"

	"github.com/spf13/cobra"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/archive"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/duration"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/exitcode"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/job"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/wal/receive"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/wal/standing"
)

func newWALStatus(a *app) *cobra.Command {
	maxLag := ""
	cmd := &cobra.Command{
		Use: "status", Short: "Show what the archived WAL covers, its gaps, and how far behind it is", Args: cobra.NoArgs,
		Long: `Show the continuous ranges of each timeline, the gaps between them with their times, how old
the newest archived WAL is, and from when to when each base backup can be recovered. Where a
server is named, by the job or by --database, it is asked what its archiver and its
replication slots say. How far behind is how much would be lost with the server now.

The exit code is 0 when all is well, 3 when the archive is further behind than --max-lag or
the recovery point objective of the policy, or when something fails that fills it, 6 when
there is a gap after the oldest base backup, and 4 when there is no archive.`,
		Example: "  pgbackup-runner wal status --job /etc/pgbackup/wal.job.json\n  pgbackup-runner wal status --repository s3://acme-pg-backups/prod --max-lag 5m",
		RunE:    func(cmd *cobra.Command, _ []string) error { return a.walStatus(cmd.Context(), maxLag) },
	}
	cmd.Flags().StringVar(&maxLag, "max-lag", "", "the archive may be this `DURATION` behind, such as 5m (default the policy's objective)")
	return cmd
}

func (a *app) walStatus(ctx context.Context, given string) error {
	limit, err := parseMaxLag(given)
	if err != nil {
		return err
	}
	r, err := a.open(ctx)
	if err != nil {
		return err
	}
	if limit, err = a.promisedAge(ctx, r, limit); err != nil {
		return err
	}
	server := a.askServer(ctx)
	archives, err := a.walArchives(ctx, r, server)
	if err != nil {
		return err
	}
	var seen []walStanding
	for _, at := range archives {
		s, err := archive.Look(ctx, r, at, archive.Options{Headers: true})
		if err != nil {
			return err
		}
		in := a.walInput(s, server)
		in.MaxLag, _ = limit.Exact()
		seen = append(seen, walStanding{in, standing.Judge(in)})
	}
	a.noteStanding(seen)
	return a.tellWAL(seen)
}

func parseMaxLag(text string) (duration.Duration, error) {
	if text == "" {
		return duration.Duration{}, nil
	}
	d, err := duration.Parse(text)
	if err != nil {
		return d, usagef("--max-lag: %w", err)
	}
	if exact, is := d.Exact(); !is || exact <= 0 {
		return d, usagef("--max-lag %q: give a length of time such as 5m", text)
	}
	return d, nil
}

// askServer asks the server that is named. What the archive holds is told also when it
// does not answer: then it may be needed most.
func (a *app) askServer(ctx context.Context) *standing.Server {
	named, ok := a.jobServer()
	if a.flags.database == "" && os.Getenv(envDatabase) == "" && (!ok || named.url.IsZero() && named.server == (job.Server{})) {
		return nil
	}
	ask := func() (standing.Server, error) {
		to, err := a.server(ctx)
		if err != nil {
			return standing.Server{}, err
		}
		conn, err := to.Connect(ctx)
		if err != nil {
			return standing.Server{}, err
		}
		defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
		return standing.ReadServer(ctx, conn)
	}
	s, err := ask()
	if err != nil {
		a.warn("the server was not asked: " + oneLine(err.Error()))
		return nil
	}
	return &s
}

// walArchives are those to tell of: that of the server or the source which is meant, or
// all. Of a source whose server was made anew it is the archive of the newer one.
func (a *app) walArchives(ctx context.Context, r *repo.Repository, server *standing.Server) ([]repo.WALArchive, error) {
	source := ""
	if _, named := a.jobServer(); named || a.sourceName("") != "" || a.flags.database != "" {
		var err error
		if source, err = a.walSource(ctx); err != nil {
			return nil, err
		}
	}
	if server != nil || source != "" {
		system := ""
		if server != nil {
			system = server.System
		}
		found, err := archive.Find(ctx, r, source, system)
		return []repo.WALArchive{found}, noArchive(err)
	}
	all, err := r.WALArchives(ctx, "")
	if err != nil {
		return nil, err
	}
	var found []repo.WALArchive
	for _, one := range all {
		at, err := archive.Find(ctx, r, one.Source, "")
		if err != nil {
			return nil, noArchive(err)
		}
		if !slices.Contains(found, at) {
			found = append(found, at)
		}
	}
	if len(found) == 0 {
		_, err := archive.Find(ctx, r, "", "")
		return nil, noArchive(err)
	}
	return found, nil
}

func noArchive(err error) error {
	if errors.Is(err, repo.ErrNotFound) {
		return exitcode.With(exitcode.NotFound, err)
	}
	return err
}

// walInput is what an archive is judged by.
func (a *app) walInput(s *archive.Survey, server *standing.Server) standing.Input {
	w := a.walOrOtherJob()
	in := standing.Input{Survey: s, Server: server, Now: a.now(), Mode: w.Mode, SlotLimit: w.SlotLimit}
	if w.Mode == job.WALReceive {
		in.Slot = cmp.Or(w.Slot, receive.SlotName(s.Archive.Source))
	}
	return in
}

// noteStanding notes the numbers for metrics: of several archives the worst.
func (a *app) noteStanding(seen []walStanding) {
	gaps := 0
	lag := seen[0].Lag
	for _, s := range seen {
		gaps += len(s.Gaps)
		switch {
		case s.Lag == nil:
			lag = nil // the one that is not known may be the worst
		case lag != nil && *s.Lag > *lag:
			lag = s.Lag
		}
	}
	a.sawWAL(lag, gaps)
}

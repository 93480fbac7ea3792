package main

import (
	"cmp"
	"context"
	"errors"
	"strings"

	"github.com/spf13/cobra"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/duration"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/job"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/nearest"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/postgres"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/postgres/replication"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/wal/receive"
)

// walReceiveFlags are those of `wal receive`.
type walReceiveFlags struct {
	slot, every, confirm, spool string
	heartbeat                   string
	dropSlot                    bool
}

func newWALReceive(a *app) *cobra.Command {
	var f walReceiveFlags
	cmd := &cobra.Command{
		Use: "receive", Short: "Stream a server's WAL into the repository, until it is stopped", Args: cobra.NoArgs,
		Long: `Stream the write-ahead log of a server into the repository as it is written: finished
segments at once, the unfinished one every few seconds, so that losing the server and this
machine costs seconds. It runs until it is stopped; "install" makes a service of it.

The server keeps its log in a replication slot, which is made when it is not there, until
that is durable in the repository. When the repository does not answer, what arrives is kept
in a directory of this machine up to a limit, and then by the server. Restarts of the server
and failovers to a new timeline are followed; with several hosts and
target_session_attrs=primary in the connection string also to another host. A second receiver
of the same source waits, and takes over when the first one is gone.

The role needs REPLICATION, and pg_hba.conf a line for the word replication. When you stop
receiving for good, drop the slot with --drop-slot: a slot that nobody reads from fills the
server's disk.`,
		Example: `  pgbackup-runner wal receive --job /etc/pgbackup/wal.job.json
  pgbackup-runner wal receive --repository s3://acme-pg-backups/prod --database postgres://backup@db.example.org/postgres
  pgbackup-runner wal receive --job /etc/pgbackup/wal.job.json --drop-slot`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if f.dropSlot {
				return a.dropWALSlot(cmd.Context(), f)
			}
			return a.receiveWAL(cmd.Context(), f)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&f.slot, "slot", "", "`NAME` of the replication slot (default the job's, or one made of the source's name)")
	flags.StringVar(&f.every, "every", "", "store the unfinished segment every `DURATION`: about as much is lost with server and receiver together (default the job's, or 3s)")
	flags.StringVar(&f.confirm, "confirm", "", "`WHAT` the server is told it may forget: what is stored in the repository, or what is spooled on this machine (default the job's, or stored)")
	flags.StringVar(&f.spool, "spool", "", "`DIRECTORY` of this machine for what is not stored yet (default the job's, or below the user's home)")
	flags.StringVar(&f.heartbeat, "heartbeat", "", "`DATABASE` in which a row with the time is written again and again (default the job's, or none)")
	flags.BoolVar(&f.dropSlot, "drop-slot", false, "drop the replication slot, and do nothing else: for when you stop receiving for good, with the receiver stopped")
	return cmd
}

// receiver is what the job and the flags say.
func (a *app) receiver(ctx context.Context, f walReceiveFlags) (job.WAL, postgres.Target, string, error) {
	fail := func(err error) (job.WAL, postgres.Target, string, error) {
		return job.WAL{}, postgres.Target{}, "", err
	}
	w, err := a.walJob()
	if err != nil {
		return fail(err)
	}
	if w.Mode == job.WALPush {
		return fail(usagef("job %q says mode %q: its server archives by itself (archive_command), and nothing is to be received", a.job.Name, w.Mode))
	}
	w.Mode, w.Spool, w.Slot, w.Confirm = job.WALReceive, walSpool(f.spool, w.Spool), cmp.Or(f.slot, w.Slot), cmp.Or(f.confirm, w.Confirm)
	switch w.Confirm {
	case "", job.ConfirmStored, job.ConfirmSpooled:
	default:
		return fail(usagef("--confirm %q: give stored or spooled%s", w.Confirm, nearest.Suggestion(w.Confirm, []string{job.ConfirmStored, job.ConfirmSpooled})))
	}
	if f.every != "" {
		if w.Every, err = duration.Parse(f.every); err != nil {
			return fail(usagef("--every: %w", err))
		}
	}
	if f.heartbeat != "" {
		w.Heartbeat = &job.Heartbeat{Database: f.heartbeat}
	}
	source, err := a.walSource(ctx)
	if err != nil {
		return fail(err)
	}
	s, err := a.server(ctx)
	if err != nil {
		return fail(err)
	}
	w.Slot = cmp.Or(w.Slot, receive.SlotName(source))
	return w, s.Target, source, nil
}

func (a *app) receiveWAL(ctx context.Context, f walReceiveFlags) error {
	w, target, source, err := a.receiver(ctx, f)
	if err != nil {
		return err
	}
	told, err := a.newWALTelling()
	if err != nil {
		return err
	}
	r, err := a.open(ctx)
	if err != nil {
		return err
	}
	a.log.Info("receiving WAL", "source", source, "server", target.String(), "repository", r.URL(), "slot", w.Slot, "spool", w.Spool)
	stop := told.publishing(ctx)
	defer stop()
	return receive.Run(ctx, receive.Options{
		Repo: r, Source: source, Target: target, WAL: w, Self: repo.Self(), Log: a.log, Now: a.now, Report: told.report,
	})
}

func (a *app) dropWALSlot(ctx context.Context, f walReceiveFlags) error {
	w, target, source, err := a.receiver(ctx, f)
	if err != nil {
		return err
	}
	err = receive.DropSlot(ctx, target, w.Slot)
	switch {
	case errors.Is(err, replication.ErrNoSlot):
		return notFound(err)
	case err != nil:
		return err
	}
	a.say("Dropped the replication slot %s. %s keeps no more WAL for %s.", w.Slot, strings.TrimSuffix(target.String(), "/"+target.Database), source)
	if a.flags.json {
		return a.printJSON(map[string]any{"dropped": w.Slot, "source": source})
	}
	return nil
}

// Package globals backs up the roles and tablespaces of a server alone.
//
// What lives here: when the output of pg_dumpall is a backup. What must not:
// running it (package postgres), what every kind does alike (package point), flags
// and printing (the faces).
package globals

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/backup/point"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/job"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/logical"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/postgres"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
)

// Options of Run and Plan.
type Options struct {
	point.Options
	Target postgres.Target // any database of the server
}

// Preview is what a backup would do, from a dry run.
type Preview struct {
	Source     string `json:"source"`
	Server     string `json:"server"`
	Tool       string `json:"tool"`
	Repository string `json:"repository"`
	Sealed     bool   `json:"sealed"`
}

// Run takes one backup.
func Run(ctx context.Context, o Options) (point.Result, error) {
	o.Defaults()
	ctx, stop := o.Limit(ctx)
	defer stop()
	asked := o.Clock()
	server, tools, err := inspect(ctx, o)
	if err != nil {
		return point.Result{}, err
	}
	return point.Take(ctx, o.Options, string(job.KindGlobals), "globals of "+o.Target.String(), func(ctx context.Context, w *point.Writing) (*repo.Manifest, error) {
		w.ServerAsked(asked)
		var g postgres.Globals
		err := w.Timed("dumping", func() (err error) {
			g, err = dump(ctx, o, tools)
			return err
		})
		if err != nil {
			return nil, err
		}
		if g.WithoutPasswords {
			w.Skip("passwords of roles", "the role "+o.Target.User+" may not read pg_authid")
		}
		w.Progress.Plain.Add(int64(len(g.SQL)))
		if err := w.WriteStream(ctx, logical.StreamGlobals, g.SQL); err != nil {
			return nil, err
		}
		return &repo.Manifest{
			Tool:         "pg_dumpall " + tools.Version,
			Server:       repo.Server{Version: server.Version, Major: server.Major, SystemIdentifier: server.SystemIdentifier, InRecovery: server.InRecovery, Clock: server.Clock},
			Verification: repo.Verification{Archive: true},
			Totals:       repo.Totals{Bytes: int64(len(g.SQL))},
		}, nil
	})
}

// Plan says what Run would do.
func Plan(ctx context.Context, o Options) (Preview, error) {
	o.Defaults()
	if err := repo.CheckSource(o.Source); err != nil {
		return Preview{}, err
	}
	server, tools, err := inspect(ctx, o)
	return Preview{Source: o.Source, Server: server.Version, Tool: "pg_dumpall " + tools.Version, Repository: o.Repo.URL(), Sealed: o.Repo.Sealed()}, err
}

// inspect finds out whether there are tools that may dump this server.
func inspect(ctx context.Context, o Options) (server postgres.Server, tools postgres.Tools, err error) {
	ctx, stop := stalling(ctx, o.StallTimeout, o.Target.String())
	defer stop()
	if server, err = postgres.ReadServer(ctx, o.Target); err == nil {
		tools, err = postgres.FindTools(ctx, server.Major)
	}
	return server, tools, because(ctx, err)
}

// dump has pg_dumpall write, and holds that it came to its end: it says so in its
// last line, whatever its exit status.
func dump(ctx context.Context, o Options, tools postgres.Tools) (postgres.Globals, error) {
	// pg_dumpall gives no sign of life while it works: it has the stall timeout for all of it.
	ctx, stop := stalling(ctx, o.StallTimeout, "pg_dumpall on "+o.Target.String())
	defer stop()
	g, err := postgres.DumpGlobals(ctx, tools, o.Target)
	if err != nil {
		return g, because(ctx, err)
	}
	if !bytes.Contains(g.SQL, []byte(logical.GlobalsEnd)) {
		return g, fmt.Errorf("%w: pg_dumpall ended well after %d bytes and did not write its last line: is %s really PostgreSQL's own program?", point.ErrEmpty, len(g.SQL), tools.DumpAll)
	}
	return g, nil
}

func stalling(ctx context.Context, limit time.Duration, who string) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(ctx, limit, fmt.Errorf("%w for %s: %s does not answer", point.ErrStalled, limit, who))
}

// because puts first why the context ended, where that is the reason.
func because(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); err != nil && cause != nil && !errors.Is(err, cause) {
		return fmt.Errorf("%w: %w", cause, err)
	}
	return err
}

// Package swap replaces a database by another that is filled and checked beside
// it. Until the last moment the old one serves; then its sessions are ended and
// two renames in one transaction put the new one in its place. The old one stays,
// under a name that says when it was replaced.
//
// A failure or a kill at any step leaves the old database serving. What a killed
// run leaves is known by its name, which nobody else would give: see besideName.
//
// What must not live here: how a database is filled (package restore and others),
// approvals, hooks, flags and printing (the faces).
package swap

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/postgres"
)

// Options of Run and Examine.
type Options struct {
	Target postgres.Target // the database to replace; one that does not exist is made
	// Fill makes the database it is given and fills it. It cleans nothing up.
	Fill func(ctx context.Context, beside postgres.Target) error
	// Check looks at what Fill made; nil is no check. Its error keeps the old one.
	Check func(ctx context.Context, beside postgres.Target) error
	// Keep gives the new database the owner, settings, rights and limits of the one
	// it replaces, for a Fill that brings none of its own.
	Keep bool
	// Patience is how long the swap is tried again while somebody keeps the
	// databases in use; 0 is 2 minutes.
	Patience time.Duration

	Now func() time.Time // nil is time.Now
	Log *slog.Logger     // nil logs nothing
}

// Result of a replacement.
type Result struct {
	Old     string        // name under which the old database stays; "" when there was none
	Removed []string      // databases that runs before this one left behind
	Ended   int           // sessions that were ended
	Away    time.Duration // how long nobody could connect
	// Warnings are what did not go as it should and does not matter for the data.
	Warnings []string
}

// Errors a caller may test for.
var (
	// ErrRefused: the database can not be replaced as things are. Nothing was done.
	ErrRefused = errors.New("the database can not be replaced as it is")
	// ErrBusy: another run replaces the same database.
	ErrBusy = errors.New("the database is being replaced by another run")
	// ErrUnknown: the connection broke at the commit and the server could not be
	// asked again. The database is the old or the new one, and whole.
	ErrUnknown = errors.New("the server did not say whether the databases were exchanged")
)

const (
	defaultPatience = 2 * time.Minute
	// cleaning bounds what is done after a failure or an interruption.
	cleaning = 30 * time.Second
)

func (o *Options) defaults() {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Patience <= 0 {
		o.Patience = defaultPatience
	}
}

// Run fills a database beside the target, checks it, and puts it in the target's
// place. Where the swap itself fails, the new database is complete and may have
// taken hours: it is kept under a name that the error tells.
func Run(ctx context.Context, o Options) (Result, error) {
	o.defaults()
	var result Result
	s, err := open(ctx, o)
	if err != nil {
		return result, err
	}
	defer s.close()
	before, err := s.examine(ctx)
	if err != nil {
		return result, err
	}
	removed, warnings := s.sweep(ctx)
	result.Removed, result.Warnings = removed, warnings

	beside := o.Target.WithDatabase(besideName(o.Target.Database))
	o.Log.Info("restoring beside the database, which goes on serving", "database", o.Target.Database, "beside", beside.Database)
	if err := s.fill(ctx, beside, before); err != nil {
		return result, s.drop(ctx, beside.Database, err)
	}
	done, err := s.exchange(ctx, before, beside.Database)
	if err != nil {
		return result, s.keep(ctx, beside.Database, err)
	}
	result.Old, result.Ended, result.Away = done.old, done.ended, done.away
	result.Warnings = append(result.Warnings, done.warnings...)
	// A killed run's CREATE DATABASE goes on in the server and may have come after
	// the first look.
	removed, _ = s.sweep(ctx)
	result.Removed = append(result.Removed, removed...)
	return result, nil
}

func (s *server) fill(ctx context.Context, beside postgres.Target, before database) error {
	if err := s.Fill(ctx, beside); err != nil {
		return err
	}
	if s.Check != nil {
		if err := s.Check(ctx, beside); err != nil {
			return err
		}
	}
	if s.Keep && before.exists {
		return s.copyProperties(ctx, before, beside.Database)
	}
	return nil
}

// drop removes the unfinished database and returns what was wrong with it.
func (s *server) drop(ctx context.Context, name string, cause error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleaning)
	defer cancel()
	if err := s.dropDatabase(ctx, name); err != nil {
		return fmt.Errorf("%w (database %s was not touched; the unfinished %s could not be dropped, the next restore with --replace does it: %w)", cause, s.Target.Database, name, err)
	}
	return fmt.Errorf("%w (database %s was not touched)", cause, s.Target.Database)
}

// keep saves a complete database whose swap failed from being taken for something
// unfinished by the next run. Who interrupts the run does not want it.
func (s *server) keep(ctx context.Context, beside string, cause error) error {
	if ctx.Err() != nil {
		return s.drop(ctx, beside, cause)
	}
	if errors.Is(cause, ErrUnknown) {
		return cause
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleaning)
	defer cancel()
	conn, err := s.connect(ctx)
	if err == nil {
		defer postgres.CloseSoon(conn)
		kept := keptName(s.Target.Database, s.Now())
		if _, err = conn.Exec(ctx, "ALTER DATABASE "+quote(beside)+" RENAME TO "+quote(kept)); err == nil {
			return fmt.Errorf("%w (database %s serves as before; the restored and checked one is kept as %s: use it or drop it)", cause, s.Target.Database, kept)
		}
	}
	return fmt.Errorf("%w (database %s serves as before; the restored and checked one is %s until the next restore with --replace, since it could not be renamed: %w)", cause, s.Target.Database, beside, err)
}

// Preview is what Examine finds.
type Preview struct {
	Exists    bool
	Bytes     int64 // on the server's disk; -1 where the login may not know
	Sessions  int   // that the swap would end
	Beside    string
	Old       string
	Leftovers []string // databases that killed runs left behind
}

// Examine says what Run would meet, and refuses what Run would refuse. It changes
// nothing.
func Examine(ctx context.Context, o Options) (Preview, error) {
	o.defaults()
	s, err := openUnlocked(ctx, o)
	if err != nil {
		return Preview{}, err
	}
	defer s.close()
	before, err := s.examine(ctx)
	if err != nil {
		return Preview{}, err
	}
	p := Preview{Exists: before.exists, Bytes: before.bytes, Sessions: before.sessions, Beside: besideName(o.Target.Database)}
	if before.exists {
		p.Old = oldName(o.Target.Database, o.Now(), 1)
	}
	p.Leftovers, err = s.leftovers(ctx)
	return p, err
}

func quote(name string) string { return pgx.Identifier{name}.Sanitize() }

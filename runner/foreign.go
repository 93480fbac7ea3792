package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/pflag"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/foreign"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/foreign/openssl"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/job"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/location"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/observe"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/postgres"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/secret"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/secretref"
)

// foreignFlags say how a file of another program is read.
type foreignFlags struct {
	passphrase string
	iterations int
	database   string // of those in the file
}

func (f *foreignFlags) register(set *pflag.FlagSet) {
	set.StringVar(&f.passphrase, "passphrase", "", "of a file of openssl enc: the `REFERENCE` of its passphrase, env:NAME, file:/path, secretsmanager:NAME or ssm:/NAME (default env:"+envKey+")")
	set.IntVar(&f.iterations, "openssl-iterations", 0, "of a file of openssl enc -pbkdf2: the `NUMBER` given as -iter (default 10000)")
	set.StringVar(&f.database, "database-in-file", "", "of a file of pg_dumpall: the `NAME` of the one database that is meant")
}

// key reads the flags of what is encrypted. The secret itself is read when a file
// turns out to need it.
func (f foreignFlags) key(a *app) (foreign.Key, error) {
	if f.iterations < 0 || f.iterations > openssl.MaxIterations {
		return foreign.Key{}, usagef("--openssl-iterations %d: give a number from 1 to %d", f.iterations, openssl.MaxIterations)
	}
	text := f.passphrase
	if text == "" {
		text = "env:" + envKey
	}
	ref, err := secretref.Parse(text)
	if err != nil {
		return foreign.Key{}, usagef("--passphrase: %w", err)
	}
	return foreign.Key{Iterations: f.iterations, Passphrase: func(ctx context.Context) ([]byte, error) {
		passphrase, err := a.secrets().Resolve(ctx, ref)
		switch {
		case errors.Is(err, secret.ErrMissing) && f.passphrase == "":
			return nil, fmt.Errorf("%w: give --passphrase env:NAME or file:/path, or set %s", foreign.ErrNoPassphrase, envKey)
		case err != nil:
			return nil, fmt.Errorf("--passphrase: %w", err)
		}
		return passphrase, nil
	}}, nil
}

// foreignPlaces are the ways to files that are not on this machine.
func (a *app) foreignPlaces() foreign.Places {
	return foreign.Places{Store: func(ctx context.Context, at job.RepositoryURL) (objstore.Store, error) {
		at, err := a.bucketPlace("the file", at.String())
		if err != nil {
			return nil, err
		}
		return a.openStore(ctx, at, location.OpenOptions{})
	}}
}

// foreignError gives what is wrong with a file the exit code that belongs to it.
func foreignError(err error) error {
	if isAny(err, foreign.ErrUnknown, foreign.ErrNoPassphrase, foreign.ErrPassphrase, foreign.ErrSeveralDatabases, foreign.ErrNoSuchDatabase,
		foreign.ErrMissingRoles, postgres.ErrNotEmpty) {
		return usage(err)
	}
	return err
}

// wrappedIn says what is around a dump.
func wrappedIn(f *foreign.Facts) string {
	if len(f.Layers) == 0 {
		return string(f.Format)
	}
	return string(f.Format) + " in " + strings.Join(f.Layers, " in ")
}

// unproven is what has to be said of every file of another program.
func (a *app) unproven(f *foreign.Facts) {
	a.say("No proof: %s.", foreign.NoProof)
	if f.Encrypted {
		a.say("Its encryption (CBC) proves nothing either: it has no authentication, and who has the file could have changed it.")
	}
}

// drawForeign shows the reading of a file on a terminal.
func (a *app) drawForeign(p *foreign.Progress) (stop func()) {
	return a.screen.Draw(func() observe.Status {
		s := observe.Status{Done: p.Read.Load(), Total: p.Expected.Load()}
		if step := p.Step.Load(); step != nil {
			s.Step = *step
		}
		if item := p.Item.Load(); item != nil {
			s.Item = *item
		}
		return s
	})
}

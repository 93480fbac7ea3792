package main

import (
	"context"
	"errors"
	"strings"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/backup/physical"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/exitcode"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/postgres"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/postgres/pgarchive"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/restore"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/seal"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/secret"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/secretref"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/verify"
)

// errWarned ends a command that did its work and has warnings. They were logged
// already, so it prints nothing.
var errWarned = exitcode.With(exitcode.Warnings, errors.New("done, with warnings"))

// meanings is the exit code of errors that carry none themselves, by what they
// are. The first that fits wins.
var meanings = []struct {
	code exitcode.Code
	are  []error
}{
	{exitcode.BadBackup, []error{verify.ErrBad, restore.ErrDiffers}},
	{exitcode.Locked, []error{repo.ErrLocked}},
	{exitcode.NotFound, []error{repo.ErrNoRepository, repo.ErrNotFound, objstore.ErrNoBucket, postgres.ErrNoDatabase}},
	{exitcode.Usage, []error{repo.ErrNoKey, repo.ErrNotSealed, repo.ErrAmbiguous, seal.ErrKeySize, seal.ErrWrongKey, secret.ErrMissing, secret.ErrUnsupported, secretref.ErrNotReference, postgres.ErrNoMatch, postgres.ErrNoReplication, physical.ErrOtherName, restore.ErrUnmet, restore.ErrExists, restore.ErrNoTable, restore.ErrNoMatch, restore.ErrSelection}},
}

// codeOf gives the exit code of an error.
func codeOf(err error) exitcode.Code {
	if err == nil {
		return exitcode.Done
	}
	if coded := (*exitcode.Error)(nil); errors.As(err, &coded) {
		return coded.Code
	}
	for _, m := range meanings {
		if isAny(err, m.are...) {
			return m.code
		}
	}
	return exitcode.Failed
}

func isAny(err error, targets ...error) bool {
	for _, is := range targets {
		if errors.Is(err, is) {
			return true
		}
	}
	return false
}

// reading gives damage found by a command that reads a backup the exit code of a
// bad backup.
func reading(err error) error {
	if coded := (*exitcode.Error)(nil); err == nil || errors.As(err, &coded) {
		return err
	}
	if isAny(err, repo.ErrDamaged, seal.ErrDamaged, seal.ErrEdited, pgarchive.ErrTruncated, pgarchive.ErrCorrupt, pgarchive.ErrNotArchive) {
		return exitcode.With(exitcode.BadBackup, err)
	}
	return err
}

// usagef is an error in what the user gave.
func usagef(format string, args ...any) error {
	return exitcode.Errorf(exitcode.Usage, format, args...)
}

// usage makes an error one in what the user gave.
func usage(err error) error { return exitcode.With(exitcode.Usage, err) }

// errorLine is how an error is told: one line, or nothing for what was told
// already and for a reader of our output that went away.
func errorLine(ctx context.Context, err error) string {
	var cause interrupted
	switch {
	case err == nil, isAny(err, errWarned, errTold, errReaderGone):
		return ""
	case errors.As(context.Cause(ctx), &cause):
		return cause.Error() + ": stopped and cleaned up; nothing half-made is visible, run it again"
	}
	return oneLine(err.Error())
}

// errTold ends a command whose error was printed as part of its output.
var errTold = errors.New("failed, as told")

// oneLine joins what errors.Join put on lines of their own.
func oneLine(s string) string {
	var parts []string
	for line := range strings.SplitSeq(s, "\n") {
		if line = strings.TrimSpace(line); line != "" {
			parts = append(parts, line)
		}
	}
	return strings.Join(parts, "; ")
}

// notFound is an error about something that was named and is not there.
func notFound(err error) error { return exitcode.With(exitcode.NotFound, err) }

// Package exitcode is the one table of the runner's exit codes, and the way an
// error carries one from where it is understood to where the process ends.
//
// The table is data: documentation and tests are generated from it. Nothing
// here prints or exits.
package exitcode

import (
	"errors"
	"fmt"
)

// Code is a process exit code of pgbackup-runner.
type Code int

// The codes. `wal fetch` has its own meaning of codes, given by PostgreSQL, and
// does not use this table.
const (
	Done      Code = 0
	Failed    Code = 1
	Usage     Code = 2
	Warnings  Code = 3
	NotFound  Code = 4
	Locked    Code = 5
	BadBackup Code = 6
)

// Entry is one row of the table.
type Entry struct {
	Code    Code
	Name    string // one word, for JSON and documentation
	Meaning string // what happened, as a sentence without a full stop
	Advice  string // what a person or a scheduler should do about it
}

// Table lists every code the runner ends with, in ascending order.
func Table() []Entry {
	return []Entry{
		{Done, "done", "everything asked for was done", "nothing"},
		{Failed, "failed", "the work failed", "read the error, the next run starts afresh"},
		{Usage, "usage", "wrong usage or configuration", "correct the flag, variable, job or policy the error names; retrying does not help"},
		{Warnings, "warnings", "done, with warnings", "treat as success, read the warnings; do not retry"},
		{NotFound, "not_found", "the thing named does not exist", "check the name, the source and the repository"},
		{Locked, "locked", "somebody else holds the lock", "wait for the other run, or retry later"},
		{BadBackup, "bad_backup", "verification or a drill found a bad backup", "take a new backup and keep the bad one for inspection"},
	}
}

// String gives the name of the code in the table, or its number.
func (c Code) String() string {
	for _, e := range Table() {
		if e.Code == c {
			return e.Name
		}
	}
	return fmt.Sprintf("exit code %d", int(c))
}

// Error is an error that knows the exit code the process should end with.
type Error struct {
	Code Code
	Err  error
}

func (e *Error) Error() string { return e.Err.Error() }

// Unwrap gives the error the code was attached to.
func (e *Error) Unwrap() error { return e.Err }

// With attaches a code to err. The message is unchanged. With of a nil error is
// nil. If err already carries a code, the outer one, given here, wins.
func With(code Code, err error) error {
	if err == nil {
		return nil
	}
	return &Error{Code: code, Err: err}
}

// Errorf is With(code, fmt.Errorf(format, args...)).
func Errorf(code Code, format string, args ...any) error {
	return &Error{Code: code, Err: fmt.Errorf(format, args...)}
}

// Of gives the code err carries: Done for nil, Failed for an error without one.
func Of(err error) Code {
	if err == nil {
		return Done
	}
	var e *Error
	if errors.As(err, &e) {
		return e.Code
	}
	return Failed
}

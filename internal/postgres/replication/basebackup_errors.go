package replication

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"
)

// ErrNotIncremental: the server can take no incremental backup on the one it was
// told of; a full one it can.
var ErrNotIncremental = errors.New("no incremental backup is possible")

// PageChecksumError: the server read pages from its disk whose checksum is wrong.
type PageChecksumError struct {
	Files []string // below the data directory, or absolute, as far as the server named them
	Said  []string // by the server
}

// Error implements error.
func (e *PageChecksumError) Error() string {
	what := strings.Join(e.Files, ", ")
	if what == "" {
		what = strings.Join(e.Said, "; ")
	}
	return fmt.Sprintf("the server found pages with a wrong checksum in %s: its disk or its memory is damaged, and a copy of them would be too; older backups are good: pg_amcheck tells what is hit", what)
}

// States of errors, from PostgreSQL's errcodes.txt.
const (
	stateCorrupted     = "XX001" // data_corrupted
	stateNotPrepared   = "55000" // object_not_in_prerequisite_state
	stateInvalidParam  = "22023"
	stateSyntax        = "42601"
	stateNotSupported  = "0A000"
	stateUndefinedFile = "58P01"
)

// notIncremental marks the refusals after which a full backup works: no summaries
// of WAL (switched off, removed, not there yet), another history, a manifest of
// something else. What a connection says is none.
func notIncremental(err error) error {
	switch sqlState(err) {
	case stateNotPrepared, stateInvalidParam, stateSyntax, stateNotSupported, stateUndefinedFile, "XX000":
		return fmt.Errorf("%w: %w", ErrNotIncremental, err)
	}
	return err
}

// explain says what to do about an error of the server.
func (b *BaseBackup) explain(err *pgconn.PgError) error {
	switch {
	case err.Code == stateCorrupted && len(b.Warned) > 0:
		return &PageChecksumError{Files: b.files, Said: b.Warned}
	case err.Code == "42501":
		return fmt.Errorf("the role %s may not take base backups; a superuser runs: ALTER ROLE %s REPLICATION: %w", b.conn.target.User, quoteIdent(b.conn.target.User), err)
	}
	return err
}

// most warnings that are kept: a damaged disk has more to say than anybody reads.
const most = 1000

// notice sorts what the server says in between. Its words are in its own language:
// the function that says them tells what they are about.
func (b *BaseBackup) notice(n *pgproto3.NoticeResponse) {
	if n.SeverityUnlocalized != "WARNING" {
		return
	}
	if n.Routine == "sendDir" { // a file that is neither a directory nor an ordinary file
		// It says so twice: when it estimates, and when it sends.
		file := cmp.Or(strings.TrimPrefix(quoted(n.Message), "./"), n.Message)
		if len(b.LeftOut) < most && !slices.Contains(b.LeftOut, file) {
			b.LeftOut = append(b.LeftOut, file)
		}
		return
	}
	if len(b.Warned) < most {
		b.Warned = append(b.Warned, n.Message)
	}
	if file := quoted(n.Message); strings.Contains(file, "/") && len(b.files) < most {
		if file = strings.TrimPrefix(file, "./"); !slices.Contains(b.files, file) {
			b.files = append(b.files, file)
		}
	}
}

// quoted is the first quoted text of a message, in the quotes of any language that
// PostgreSQL speaks; "" for none.
func quoted(message string) string {
	const quotes = "\"«»„“”‚‘’「」"
	from := strings.IndexAny(message, quotes)
	if from < 0 {
		return ""
	}
	rest := strings.TrimLeft(message[from:], quotes)
	if to := strings.IndexAny(rest, quotes); to >= 0 {
		return strings.TrimSpace(rest[:to])
	}
	return ""
}

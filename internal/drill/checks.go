package drill

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/drillreport"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/job"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/postgres"
)

// checks runs the user's statements, each in a transaction of its own that only
// reads. An error means that the rest could not run either.
func (r *run) checks(ctx context.Context, connect func(context.Context) (*pgx.Conn, error)) error {
	var conn *pgx.Conn
	defer func() {
		if conn != nil {
			postgres.CloseSoon(conn)
		}
	}()
	for _, c := range r.Drill.Checks {
		if conn == nil || conn.IsClosed() {
			var err error
			if conn, err = connect(ctx); err != nil {
				return fmt.Errorf("checks: %w", err)
			}
		}
		found := runCheck(ctx, conn, c, r.asOf())
		r.report.Checks = append(r.report.Checks, found)
		switch {
		case found.CouldNotRun:
			r.unsure = append(r.unsure, fmt.Sprintf("check %q could not run: %s", c.Name, found.Problem))
		case !found.Passed:
			r.bad = append(r.bad, fmt.Sprintf("check %q failed: expected %s, got %s", c.Name, found.Expect, found.Got))
		}
		if err := errStopped(ctx, fmt.Sprintf("check %q", c.Name)); err != nil {
			return err
		}
	}
	return nil
}

// asOf is the moment that the restored data is of.
func (r *run) asOf() time.Time {
	switch rec := r.report.Recovery; {
	case rec == nil:
		return r.report.Point.Start
	case rec.Target.IsZero():
		return rec.To
	default:
		return rec.Target
	}
}

// runCheck runs one statement and judges what it returns; backedUp is the moment that
// the data is of.
func runCheck(ctx context.Context, conn *pgx.Conn, c job.DrillCheck, backedUp time.Time) drillreport.Check {
	begun := time.Now()
	found := drillreport.Check{Name: c.Name, Expect: c.Expect}
	if found.Expect == "" {
		found.Expect = "true"
	}
	expected, err := job.ParseExpectation(c.Expect)
	var got answer
	if err == nil {
		got, err = ask(ctx, conn, c, backedUp)
	}
	found.Seconds = time.Since(begun).Seconds()
	switch {
	case err != nil:
		found.Problem, found.CouldNotRun = oneLine(err.Error()), true
	default:
		found.Got = got.words()
		found.Passed = expected.Met(got.rows, got.first, got.null)
	}
	return found
}

// answer is what a statement returned, as far as anybody looks at it.
type answer struct {
	rows  int // 2 stands for more
	first string
	null  bool
}

// maxShown bounds what a report repeats of a value, in characters.
const maxShown = 200

func (a answer) words() string {
	switch {
	case a.rows == 0:
		return "no rows"
	case a.null:
		return "null"
	case utf8.RuneCountInString(a.first) > maxShown:
		return string([]rune(a.first)[:maxShown]) + "…"
	}
	return a.first
}

// ask runs a statement with its limit of time. The extended protocol takes one
// statement only, so none can end the transaction and go on outside of it.
func ask(ctx context.Context, conn *pgx.Conn, c job.DrillCheck, backedUp time.Time) (got answer, err error) {
	limit, _ := c.Timeout.Exact() // the job holds it to an exact one
	if limit <= 0 {
		limit = job.DefaultCheckTimeout
	}
	tx, err := conn.BeginTx(ctx, pgx.TxOptions{AccessMode: pgx.ReadOnly, IsoLevel: pgx.RepeatableRead})
	if err != nil {
		return got, err
	}
	// A deferred constraint or a cursor may still do something at the end: nothing
	// of a check is ever committed.
	defer tx.Rollback(context.WithoutCancel(ctx)) //nolint:errcheck // the session is of no more use then, and the next check notices
	if _, err := tx.Exec(ctx, fmt.Sprintf("SET LOCAL statement_timeout = %d", limit.Milliseconds())); err != nil {
		return got, err
	}
	if _, err := tx.Exec(ctx, "SELECT pg_catalog.set_config($1, $2, true)", job.BackupTimeSetting, backedUp.UTC().Format("2006-01-02T15:04:05.999999Z07:00")); err != nil {
		return got, err
	}
	// A server that is gone does not keep its own time.
	ctx, cancel := context.WithTimeoutCause(ctx, limit+10*time.Second, fmt.Errorf("no answer after %s", limit))
	defer cancel()
	reader := conn.PgConn().ExecParams(ctx, c.SQL, nil, nil, nil, nil)
	for reader.NextRow() {
		if got.rows++; got.rows > 1 {
			got.rows = 2
			continue
		}
		if values := reader.Values(); len(values) == 0 || values[0] == nil {
			got.null = true
		} else {
			got.first = string(values[0])
		}
	}
	tag, err := reader.Close()
	switch {
	case err == nil && strings.HasPrefix(tag.String(), "COPY"):
		return got, errors.New("COPY returns no value to look at: write it as a SELECT")
	case err == nil:
		return got, nil
	}
	if cause := context.Cause(ctx); cause != nil {
		return got, fmt.Errorf("%w: %w", cause, err)
	}
	if code := stateOf(err); code == "57014" {
		return got, fmt.Errorf("it took longer than %s: %w", limit, err)
	} else if code == "25006" {
		return got, fmt.Errorf("a check may only read: %w", err)
	}
	return got, err
}

func stateOf(err error) string {
	var refused *pgconn.PgError
	if errors.As(err, &refused) {
		return refused.Code
	}
	return ""
}

package foreign

import (
	"context"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/foreign/sqlscript"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/postgres"
)

// runner runs a script in one session, as psql -v ON_ERROR_STOP=1 would, but for
// psql's own commands.
type runner struct {
	conn         *pgx.Conn
	database     string // of the script; others' statements are passed over
	noOwner      bool
	noPrivileges bool
	makeRole     func(ctx context.Context, name string) error // nil: a missing role is an error
	globals      func(ctx context.Context, item sqlscript.Item) (done bool, err error)
	progress     *Progress

	left    map[string]int64 // what was left out, and how often
	rows    int64
	trailer trailer
}

// unsafeEncodings have characters whose second byte may be a quote or a backslash:
// where a statement ends can then not be told from its bytes.
var unsafeEncodings = []string{"SJIS", "SHIFT_JIS_2004", "BIG5", "GBK", "GB18030", "UHC", "JOHAB"}

func (r *runner) run(ctx context.Context, s io.Reader) error {
	in := sqlscript.NewScanner(s)
	in.Comment = r.trailer.comment
	current := ""
	for {
		status := r.conn.PgConn().ParameterStatus
		if encoding := status("client_encoding"); slices.Contains(unsafeEncodings, encoding) {
			return fmt.Errorf("line %d: the text is in %s, where a byte of a character may look like a quote: turn the file into UTF-8 first", in.Line(), encoding)
		}
		item, err := in.Next(status("standard_conforming_strings") == "off")
		if errors.Is(err, io.EOF) {
			return r.trailer.check()
		}
		if err != nil {
			return ended(err)
		}
		if item.Kind == sqlscript.Command {
			database, err := checkCommand(item)
			if err != nil {
				return err
			}
			if database != "" {
				current = database
			}
			r.trailer.command(item)
			continue
		}
		if err := checkStatement(item); err != nil {
			return err
		}
		if err := r.item(ctx, in, item, current); err != nil {
			return err
		}
	}
}

// item runs a statement, or leaves it out.
func (r *runner) item(ctx context.Context, in *sqlscript.Scanner, item sqlscript.Item, current string) error {
	subject := item.Subject()
	skip := ""
	switch {
	case subject == sqlscript.Cluster:
		if r.globals != nil {
			done, err := r.globals(ctx, item)
			if done || err != nil {
				return err
			}
		}
		skip = "about databases, roles or tablespaces of the old server"
	case current != r.database:
		skip = fmt.Sprintf("for database %q", current)
		if current == "" {
			skip = "for no database"
		}
	case r.noOwner && subject == sqlscript.Owner:
		skip = "about owners (--no-owner)"
	case r.noPrivileges && subject == sqlscript.Rights:
		skip = "about rights (--no-acl)"
	}
	switch {
	case skip != "":
		r.leftOut(skip)
		if item.CopiesIn() {
			_, err := io.Copy(io.Discard, in.Rows())
			return ended(err)
		}
		return nil
	case item.CopiesIn():
		return r.copyIn(ctx, in, item)
	}
	r.progress.item(item)
	err := r.exec(ctx, item.Text)
	if err == nil || ctx.Err() != nil {
		return cause(ctx, err)
	}
	if r.tolerated(ctx, item, err) {
		return nil
	}
	if role := missingRole(err); role != "" && r.makeRole != nil {
		if err := r.makeRole(ctx, role); err != nil {
			return err
		}
		// A statement may name several.
		return r.item(ctx, in, item, current)
	}
	return r.explain(item, err)
}

func (r *runner) exec(ctx context.Context, sql string) error {
	return r.conn.PgConn().Exec(ctx, sql).Close()
}

// leftOut counts statements that were passed over, by why.
func (r *runner) leftOut(why string) {
	if r.left == nil {
		r.left = map[string]int64{}
	}
	if len(r.left) < maxNames {
		r.left[why]++
	}
}

// copyIn passes rows on to the server.
func (r *runner) copyIn(ctx context.Context, in *sqlscript.Scanner, item sqlscript.Item) error {
	r.progress.item(item)
	rows := &guarded{r: in.Rows()}
	tag, err := r.conn.PgConn().CopyFrom(ctx, rows, item.Text)
	if readErr := rows.end(); readErr != nil {
		// What the server says when its input fails is no news.
		return fmt.Errorf("the rows after line %d: %w", item.Line, ended(readErr))
	}
	if err != nil {
		if ctx.Err() != nil {
			return cause(ctx, err)
		}
		return r.explain(item, err)
	}
	if !strings.HasPrefix(tag.String(), "COPY ") {
		return fmt.Errorf("%w: line %d looks like a COPY and is something else", ErrHostile, item.Line)
	}
	r.rows += tag.RowsAffected()
	r.progress.rows(tag.RowsAffected())
	return nil
}

var roleMissing = regexp.MustCompile(`^role "(.*)" does not exist$`)

func missingRole(err error) string {
	var pgErr *pgconn.PgError
	if !errors.As(err, &pgErr) || pgErr.Code != "42704" {
		return ""
	}
	if m := roleMissing.FindStringSubmatch(pgErr.Message); m != nil {
		return m[1]
	}
	return ""
}

// ofRDS tells of the roles that every RDS server has and no other.
func ofRDS(role string) bool {
	return role == "rdsadmin" || role == "rdstopmgr" || strings.HasPrefix(role, "rds_") || role == "rdsrepladmin"
}

// tolerated tells whether a dump is as good as whole without a statement that
// failed, and notes it.
func (r *runner) tolerated(ctx context.Context, item sqlscript.Item, err error) bool {
	var pgErr *pgconn.PgError
	if !errors.As(err, &pgErr) {
		return false
	}
	t := item.Tokens
	note := ""
	switch code := pgErr.Code; {
	case item.Subject() == sqlscript.Settings && t.Begin("SET") && len(t) > 1 && code == "42704" && strings.Contains(pgErr.Message, "unrecognized configuration parameter"):
		note = "setting " + t[1].Text + ", which this server does not know"
	case t.Begin("SET", "default_tablespace") && (code == "22023" || code == "42704"):
		if r.exec(ctx, "SET default_tablespace = ''") != nil {
			return false
		}
		note = "choosing a tablespace that the server lacks: everything goes to the default tablespace"
	case t.Begin("SELECT", "pg_catalog", "lo_unlink") && code == "42704",
		t.Begin("DROP") && (code == "42P01" || code == "42704" || code == "42883" || code == "3F000" || code == "42703"),
		t.Begin("ALTER", "TABLE") && t.Find("DROP") > 0 && (code == "42P01" || code == "42704" || code == "3F000"):
		note = "dropping what is not there (pg_dump --clean)"
	case t.Begin("CREATE", "SCHEMA") && t.Name(2) == "public" && code == "42P06":
		note = "making schema public, which every database has"
	case t.Begin("COMMENT", "ON", "EXTENSION") && code == "42501":
		note = "the comment on an extension that belongs to another role"
	default:
		if role := missingRole(err); role != "" && ofRDS(role) {
			note = "about role " + role + ", which only RDS has"
		}
	}
	if note == "" {
		return false
	}
	r.leftOut(note)
	return true
}

// explain says where the server refused what.
func (r *runner) explain(item sqlscript.Item, err error) error {
	var pgErr *pgconn.PgError
	if !errors.As(err, &pgErr) {
		return fmt.Errorf("line %d: %w", item.Line, err)
	}
	line := item.Line
	if at := int(pgErr.Position); at > 0 {
		// The position counts characters.
		for _, c := range item.Text {
			if at--; at <= 0 {
				break
			}
			if c == '\n' {
				line++
			}
		}
	}
	hint := ""
	if role := missingRole(err); role != "" {
		hint = fmt.Sprintf("; make the role (CREATE ROLE %s), or give --no-owner --no-acl", pgx.Identifier{role}.Sanitize())
	}
	where := ""
	if pgErr.Where != "" {
		where = " (" + firstLine(pgErr.Where) + ")"
	}
	return fmt.Errorf("line %d: %s: %w%s%s", line, firstLine(item.Text), err, where, hint)
}

// firstLine begins a text, short enough for a message.
func firstLine(s string) string {
	s, _, _ = strings.Cut(s, "\n")
	const most = 80
	if runes := []rune(s); len(runes) > most {
		return string(runes[:most]) + "…"
	}
	return s
}

func cause(ctx context.Context, err error) error {
	if c := context.Cause(ctx); c != nil && err != nil && !errors.Is(err, c) {
		return fmt.Errorf("%w: %w", c, err)
	}
	return err
}

// guarded can be ended under somebody who still reads: a COPY that failed returns
// while pgx may be reading its rows in another goroutine.
type guarded struct {
	ended atomic.Bool
	mu    sync.Mutex // of one Read
	r     io.Reader
	err   error // why reading failed
}

func (g *guarded) Read(p []byte) (int, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.ended.Load() {
		return 0, io.ErrClosedPipe
	}
	n, err := g.r.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		g.err = err
	}
	return n, err
}

// end waits for a Read and lets no other begin. It returns why one had failed.
func (g *guarded) end() error {
	g.ended.Store(true)
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.err
}

// Progress of a load, to be read by whoever draws it.
type Progress struct {
	Expected atomic.Int64 // stored bytes that will be read, 0 when not known
	Read     atomic.Int64 // stored bytes read
	Rows     atomic.Int64
	Step     atomic.Pointer[string]
	Item     atomic.Pointer[string] // the table being filled
}

func (p *Progress) item(item sqlscript.Item) {
	if !item.CopiesIn() {
		return
	}
	name := firstLine(item.Text)
	if fields := strings.Fields(name); len(fields) > 1 {
		name = fields[1]
	}
	p.Item.Store(&name)
}

func (p *Progress) rows(n int64) { p.Rows.Add(n) }

func (p *Progress) at(step string) { p.Step.Store(&step) }

// session connects to load a script.
func session(ctx context.Context, t postgres.Target) (*pgx.Conn, error) {
	conn, err := t.Connect(ctx)
	if err != nil {
		return nil, err
	}
	// Written dumps say so themselves; older ones count on it.
	if _, err := conn.PgConn().Exec(ctx, "SET check_function_bodies = off").ReadAll(); err != nil {
		postgres.CloseSoon(conn)
		return nil, fmt.Errorf("prepare the session on %s: %w", t, err)
	}
	return conn, nil
}

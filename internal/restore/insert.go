package restore

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/logical/comparison"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/postgres"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/postgres/pgarchive"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
)

// insert puts a part of a backup into a database that is in use, in one
// transaction on one session: whatever happens, the database is as it was or has
// all of it, proven. That costs the parallel loading that a new database gets.
func (r *run) insert(ctx context.Context) error {
	s, err := r.newSession(ctx)
	if err != nil {
		return err
	}
	defer s.close()
	if err := exec(ctx, s.conn, "BEGIN"); err != nil {
		return err
	}
	begin, end := r.makeTables, r.completeTables
	if r.Select.DataOnly {
		begin, end = r.takeTables, r.giveTables
	}
	err = r.inSteps(ctx, []step{
		{"schema", func(ctx context.Context) error { return begin(ctx, s) }},
		{"tables", func(ctx context.Context) error { return r.loadIn(ctx, s) }},
		{"sequences", func(ctx context.Context) error { return r.setSequences(ctx, s) }},
		{"indexes and constraints", func(ctx context.Context) error { return end(ctx, s) }},
		{"comparing", func(ctx context.Context) error { return r.compareIn(ctx, s) }},
		{"commit", func(ctx context.Context) error {
			err := exec(ctx, s.conn, "COMMIT")
			r.commitLost = err != nil && sqlState(err) == ""
			return err
		}},
	})
	if err != nil {
		return err
	}
	// It is all there from here on: no error may say otherwise.
	if err := r.inSteps(ctx, []step{{"statistics", r.analyze}}); err != nil {
		r.warn("the data is restored, but ANALYZE did not run to its end: %v", err)
	}
	return nil
}

func exec(ctx context.Context, conn *pgx.Conn, sql string) error {
	if _, err := conn.PgConn().Exec(ctx, sql).ReadAll(); err != nil {
		return fmt.Errorf("%s: %w", firstLine(sql), err)
	}
	return nil
}

func firstLine(sql string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(sql), "\n")
	return line
}

// script runs the SQL of a section for some entries.
func (r *run) script(ctx context.Context, s *session, section string, ids []int32) error {
	if len(ids) == 0 {
		return nil
	}
	o := r.restoreOptions()
	o.Only = ids
	script, err := postgres.SectionScript(ctx, r.tools, section, r.toc.Raw, o)
	if err != nil {
		return err
	}
	if err := script.Run(ctx, s.conn, r.unknownSettings); err != nil {
		return err
	}
	// The script sets what it needs; COPY and comparing need what they were given.
	return postgres.PrepareSession(ctx, s.conn, r.point.Server.Encoding)
}

// lateAttach tells a partition that is attached to a table which is not restored
// with it: that comes last, since attaching makes the indexes that it lacks.
func (r *run) lateAttach(e *pgarchive.Entry) bool {
	return e.Desc == "TABLE ATTACH" && !r.chosen[r.family.parentOf[r.family.host[e.DumpID]]]
}

// idsOf are the dump ids of the wanted entries, in order.
func (r *run) idsOf(is func(*pgarchive.Entry) bool) []int32 {
	ids := []int32{}
	for i := range r.toc.Entries {
		if e := &r.toc.Entries[i]; r.wanted(e) && is(e) {
			ids = append(ids, e.DumpID)
		}
	}
	return ids
}

func (r *run) makeTables(ctx context.Context, s *session) error {
	return r.script(ctx, s, "pre-data", r.idsOf(func(e *pgarchive.Entry) bool { return !r.lateAttach(e) }))
}

func (r *run) completeTables(ctx context.Context, s *session) error {
	late := func(e *pgarchive.Entry) bool { return r.lateAttach(e) }
	ids := r.idsOf(func(e *pgarchive.Entry) bool { return !late(e) && !r.attachesLate(e) })
	if err := r.script(ctx, s, "post-data", ids); err != nil {
		return err
	}
	return r.script(ctx, s, "pre-data", r.idsOf(late))
}

// attachesLate tells the attaching of an index whose other end is not restored:
// attaching the table does it.
func (r *run) attachesLate(e *pgarchive.Entry) bool {
	if e.Desc != "INDEX ATTACH" {
		return false
	}
	return slices.ContainsFunc(e.Deps, func(id int32) bool { return r.family.byID[id] != nil && !r.chosen[id] })
}

// loadIn copies the wanted tables, those that others refer to first.
func (r *run) loadIn(ctx context.Context, s *session) error {
	for _, entries := range r.levels() {
		for _, p := range r.piecesOf(entries) {
			if _, err := r.loadPiece(ctx, s, p); err != nil {
				return err
			}
		}
	}
	return nil
}

// levels are the data entries in an order in which foreign keys hold, as far as
// there is one: keys that go in a circle are checked at the end if they may be.
func (r *run) levels() [][]repo.Entry {
	var all []repo.Entry
	for _, e := range r.index.Entries {
		if r.loads(e) {
			all = append(all, e)
		}
	}
	if !r.Select.DataOnly {
		return [][]repo.Entry{all} // there are no keys yet
	}
	refersTo := map[int32][]int32{} // table -> tables
	for i := range r.toc.Entries {
		if e := &r.toc.Entries[i]; e.Desc == "FK CONSTRAINT" {
			from := r.family.host[e.DumpID]
			for _, id := range e.Deps {
				d := r.family.byID[id]
				if d == nil {
					continue
				}
				if !isRelation(d) {
					id = r.family.host[id]
				}
				if id != from && id != 0 {
					refersTo[from] = append(refersTo[from], id)
				}
			}
		}
	}
	loaded := map[int32]bool{}
	var levels [][]repo.Entry
	for len(all) > 0 {
		waiting := map[int32]bool{}
		for _, e := range all {
			waiting[r.family.host[int32(e.DumpID)]] = true
		}
		var now, later []repo.Entry
		for _, e := range all {
			table := r.family.host[int32(e.DumpID)]
			if slices.ContainsFunc(refersTo[table], func(to int32) bool { return waiting[to] && !loaded[to] }) {
				later = append(later, e)
			} else {
				now = append(now, e)
			}
		}
		if len(now) == 0 { // a circle
			now, later = later, nil
		}
		for _, e := range now {
			loaded[r.family.host[int32(e.DumpID)]] = true
		}
		levels = append(levels, now)
		all = later
	}
	return levels
}

func (r *run) setSequences(ctx context.Context, s *session) error {
	for i := range r.toc.Entries {
		e := &r.toc.Entries[i]
		if e.Desc != "SEQUENCE SET" || !r.wanted(e) {
			continue
		}
		if r.Select.DataOnly {
			ahead, err := r.holdSequence(ctx, s, e)
			if err != nil {
				return err
			}
			if ahead { // what it gave out may be in other tables, or with others
				r.Log.Info("a sequence is ahead of the backup and stays where it is", "sequence", describe(e))
				continue
			}
		}
		if err := exec(ctx, s.conn, e.Defn); err != nil {
			return err
		}
	}
	return nil
}

// holdSequence keeps others from a sequence until the end of the transaction, and
// tells whether it is ahead of the backup. setval alone would outlive a rollback: of
// a sequence that the transaction altered, if only to what it was, it is undone.
func (r *run) holdSequence(ctx context.Context, s *session, e *pgarchive.Entry) (ahead bool, err error) {
	name := pgx.Identifier{e.Namespace, e.Tag}.Sanitize()
	var increment int64
	err = s.conn.QueryRow(ctx, "SELECT seqincrement FROM pg_catalog.pg_sequence WHERE seqrelid = "+postgres.QuoteLiteral(name)+"::pg_catalog.regclass").Scan(&increment)
	if err != nil {
		return false, fmt.Errorf("read how sequence %s counts: %w", name, err)
	}
	if err := exec(ctx, s.conn, fmt.Sprintf("ALTER SEQUENCE %s INCREMENT BY %d", name, increment)); err != nil {
		return false, err
	}
	return comparison.Ahead(ctx, s.conn, e)
}

// takeTables locks the tables that get data, holds once more that they are empty,
// and puts the user's triggers to sleep: the rows have been through them.
func (r *run) takeTables(ctx context.Context, s *session) error {
	if err := exec(ctx, s.conn, "SET CONSTRAINTS ALL DEFERRED"); err != nil {
		return err
	}
	for _, e := range r.dataEntries() {
		name := pgx.Identifier{e.Namespace, e.Tag}.Sanitize()
		if err := exec(ctx, s.conn, "LOCK TABLE ONLY "+name+" IN ACCESS EXCLUSIVE MODE"); err != nil {
			return err
		}
		answer, err := s.conn.PgConn().Exec(ctx, "SELECT FROM ONLY "+name+" LIMIT 1").ReadAll()
		if err != nil {
			return fmt.Errorf("look whether %s is empty: %w", name, err)
		}
		if len(answer) > 0 && len(answer[0].Rows) > 0 {
			return fmt.Errorf("%w: %s has got rows meanwhile", ErrNoTable, name)
		}
		triggers, err := userTriggers(ctx, s.conn, name)
		if err != nil {
			return err
		}
		for _, t := range triggers {
			if err := exec(ctx, s.conn, "ALTER TABLE ONLY "+name+" DISABLE TRIGGER "+t.name); err != nil {
				return err
			}
			r.asleep = append(r.asleep, "ALTER TABLE ONLY "+name+" ENABLE "+t.how+"TRIGGER "+t.name)
		}
	}
	return nil
}

// giveTables lets the constraints hold and wakes the triggers again.
func (r *run) giveTables(ctx context.Context, s *session) error {
	for _, sql := range append([]string{"SET CONSTRAINTS ALL IMMEDIATE"}, r.asleep...) {
		if err := exec(ctx, s.conn, sql); err != nil {
			return err
		}
	}
	return nil
}

type trigger struct{ name, how string } // SQL

// userTriggers are those of a table that fire.
func userTriggers(ctx context.Context, conn *pgx.Conn, table string) ([]trigger, error) {
	answer, err := conn.PgConn().Exec(ctx, "SELECT pg_catalog.quote_ident(tgname), CASE tgenabled WHEN 'R' THEN 'REPLICA ' WHEN 'A' THEN 'ALWAYS ' ELSE '' END FROM pg_catalog.pg_trigger WHERE tgrelid = "+
		postgres.QuoteLiteral(table)+"::pg_catalog.regclass AND NOT tgisinternal AND tgenabled <> 'D' ORDER BY tgname").ReadAll()
	if err != nil {
		return nil, fmt.Errorf("list the triggers of %s: %w", table, err)
	}
	var all []trigger
	for _, row := range answer[0].Rows {
		all = append(all, trigger{string(row[0]), string(row[1])})
	}
	return all, nil
}

// dataEntries are the entries of the tables that are loaded.
func (r *run) dataEntries() []*pgarchive.Entry {
	var all []*pgarchive.Entry
	for i := range r.toc.Entries {
		if e := &r.toc.Entries[i]; e.Desc == "TABLE DATA" && r.wanted(e) {
			all = append(all, e)
		}
	}
	return all
}

// compareIn compares what the transaction made before it is committed.
func (r *run) compareIn(ctx context.Context, s *session) error {
	if r.Select.SchemaOnly {
		return nil
	}
	found, err := comparison.On(ctx, s.conn, r.comparisonOptions())
	if err != nil {
		return err
	}
	return r.compared(found)
}

func sqlState(err error) string {
	var pgErr *pgconn.PgError
	if errors.As(err, &pgErr) {
		return pgErr.Code
	}
	return ""
}

// step is one of a restore's, measured under its name.
type step struct {
	name string
	do   func(context.Context) error
}

func (r *run) inSteps(ctx context.Context, all []step) error {
	for _, s := range all {
		r.Progress.Step.Store(&s.name)
		begun := time.Now()
		if err := s.do(ctx); err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
		r.result.Durations[s.name] += time.Since(begun).Seconds()
	}
	return nil
}

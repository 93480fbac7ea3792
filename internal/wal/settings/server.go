package settings

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// names are the settings that a plan looks at.
var names = []string{
	"wal_level", "max_wal_senders", "max_replication_slots", "max_slot_wal_keep_size", "archive_mode", "archive_library", "archive_command", "archive_timeout",
	"summarize_wal", "wal_summary_keep_time",
}

// Read asks a server. slot is the receiver's own, "" for none.
func Read(ctx context.Context, conn *pgx.Conn, slot string) (Server, error) {
	s := Server{Settings: map[string]Current{}}
	failed := func(err error) (Server, error) { return s, fmt.Errorf("read the settings of the server: %w", err) }
	if err := conn.QueryRow(ctx, "SELECT current_setting('server_version_num')::int / 10000, current_user, (SELECT count(*) FROM pg_catalog.pg_replication_slots WHERE slot_name <> $1)", slot).Scan(&s.Major, &s.Role, &s.Slots); err != nil {
		return failed(err)
	}
	rows, err := conn.Query(ctx, "SELECT name, setting, source, context = 'postmaster', pending_restart FROM pg_catalog.pg_settings WHERE name = ANY($1)", names)
	if err != nil {
		return failed(err)
	}
	var name string
	var c Current
	var waits bool
	var waiting []string
	if _, err := pgx.ForEachRow(rows, []any{&name, &c.Value, &c.Source, &c.Restart, &waits}, func() error {
		c.Pending = c.Value
		s.Settings[name] = c
		if waits {
			waiting = append(waiting, name)
		}
		return nil
	}); err != nil {
		return failed(err)
	}
	if err := s.readFiles(ctx, conn, waiting); err != nil {
		return failed(err)
	}
	return s, nil
}

// readFiles finds what a restart will bring, and the archive_command that is not shown
// while archive_mode is off. What a role that may not read them cannot know is hidden:
// that, and what settings will be that wait for a restart.
func (s Server) readFiles(ctx context.Context, conn *pgx.Conn, waiting []string) error {
	rows, err := conn.Query(ctx, "SELECT DISTINCT ON (name) name, setting FROM pg_catalog.pg_file_settings WHERE name = ANY($1) AND setting IS NOT NULL ORDER BY name, seqno DESC", names)
	if err != nil {
		return err
	}
	var name, value string
	_, err = pgx.ForEachRow(rows, []any{&name, &value}, func() error {
		c := s.Settings[name]
		overruled := c.Source == "command line" || c.Source == "environment variable"
		switch {
		case name == "archive_command" && c.Value == "(disabled)":
			c.Pending = value
		case c.Restart && !overruled:
			c.Pending = value
		}
		s.Settings[name] = c
		return nil
	})
	if denied := (*pgconn.PgError)(nil); errors.As(err, &denied) && denied.Code == "42501" {
		s.hide(waiting)
		return nil
	}
	return err
}

// hide marks what only the files of a server tell, of a role that may not read them.
func (s Server) hide(waiting []string) {
	who := fmt.Sprintf("role %s may not read the files of the server (pg_file_settings): a superuser can", s.Role)
	if c := s.Settings["archive_command"]; c.Value == "(disabled)" {
		c.Hidden = "the server shows it only while archive_mode is on, and " + who
		s.Settings["archive_command"] = c
	}
	for _, name := range waiting {
		c := s.Settings[name]
		c.Hidden = "it was changed and waits for a restart; to what cannot be seen: " + who
		s.Settings[name] = c
	}
}

// ErrHidden: the role may not see whether somebody archives already.
var ErrHidden = errors.New("whether somebody else archives the WAL of this server already cannot be seen")

// ErrForeign: archive_command, or archive_library, is somebody else's.
var ErrForeign = errors.New("somebody else archives the WAL of this server already")

// reloadTime is how long a server may take to read its settings again.
const reloadTime = 5 * time.Second

// Apply sets what a plan changes by ALTER SYSTEM and has the server read it. What is
// foreign is ErrForeign, and nothing at all is changed, unless it may be replaced; who
// archives and may not be seen is ErrHidden, whatever may be replaced. The server is asked
// again for the plan that is returned.
func Apply(ctx context.Context, conn *pgx.Conn, w Wanted, plan []Setting, replace bool) ([]Setting, error) {
	var change []Setting
	for _, line := range plan {
		switch {
		case line.State == Hidden && line.Name == "archive_command":
			return plan, fmt.Errorf("%w: %s: %s; nothing was changed: connect as one (--database)", ErrHidden, line.Name, line.Why)
		case line.State == Foreign && !replace:
			return plan, fmt.Errorf("%w: %s is %q; nothing was changed. With two archivers in one command both would have to succeed: look whether it is still needed, then give --replace-archive-command", ErrForeign, line.Name, line.Is)
		case line.State == Change, line.State == Foreign:
			change = append(change, line)
		}
	}
	if len(change) == 0 {
		return plan, nil
	}
	for _, line := range change {
		if err := alter(ctx, conn, line); err != nil {
			return plan, err
		}
	}
	if _, err := conn.Exec(ctx, "SELECT pg_catalog.pg_reload_conf()"); err != nil {
		return plan, fmt.Errorf("have the server read its settings: %w; they are set: reload it", err)
	}
	changing := func(line Setting) bool { return line.State == Change || line.State == Foreign }
	for begun := time.Now(); ; {
		s, err := Read(ctx, conn, w.Slot)
		if err != nil {
			return plan, err
		}
		if plan, err = Plan(w, s); err != nil {
			return plan, err
		}
		if !slices.ContainsFunc(plan, changing) || time.Since(begun) > reloadTime {
			return plan, nil
		}
		time.Sleep(50 * time.Millisecond)
	}
}

func alter(ctx context.Context, conn *pgx.Conn, line Setting) error {
	value := "'" + strings.ReplaceAll(line.Want, "'", "''") + "'"
	if strings.Contains(line.Want, `\`) {
		value = " E" + strings.ReplaceAll(value, `\`, `\\`)
	}
	_, err := conn.PgConn().Exec(ctx, "ALTER SYSTEM SET "+pgx.Identifier{line.Name}.Sanitize()+" = "+value).ReadAll()
	if err == nil {
		return nil
	}
	hint := ""
	if denied := (*pgconn.PgError)(nil); errors.As(err, &denied) && denied.Code == "42501" {
		hint = "; connect as a superuser (--database), or set it in the configuration that your service manages"
	}
	return fmt.Errorf("ALTER SYSTEM SET %s: %w%s", line.Name, err, hint)
}

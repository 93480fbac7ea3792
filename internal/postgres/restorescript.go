package postgres

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"regexp"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// Script is the SQL that pg_restore would run for a section of an archive, to be
// run in a transaction together with other things.
type Script struct {
	Settings []SessionSetting // of the session, that it begins with
	SQL      string           // the rest, in the archive's encoding
}

// SessionSetting is one SET statement at the head of a script.
type SessionSetting struct{ Name, SQL string }

// SectionScript is what RestorePreData ("pre-data") or RestorePostData
// ("post-data") would run, as SQL. archive is header and table of contents.
func SectionScript(ctx context.Context, tools Tools, section, archive string, o RestoreOptions) (Script, error) {
	args, remove, err := sectionArgs(section, o)
	if err != nil {
		return Script{}, fmt.Errorf("write the SQL of %s: %w", section, err)
	}
	defer remove()
	cmd := exec.CommandContext(ctx, tools.Restore, append(args, "--file=-")...)
	cmd.Env = environWithoutLogin()
	cmd.Stdin = strings.NewReader(archive)
	var out, said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &said
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			return Script{}, fmt.Errorf("write the SQL of %s: %w", section, context.Cause(ctx))
		}
		failed := &ToolError{Tool: "pg_restore", ExitCode: -1, Stderr: said.String()}
		if exit := new(exec.ExitError); errors.As(err, &exit) {
			failed.ExitCode = exit.ExitCode()
		}
		return Script{}, fmt.Errorf("write the SQL of %s: %w", section, failed)
	}
	return splitScript(out.String()), nil
}

// ScriptSettings are the settings that this pg_restore makes in every session,
// whatever it restores. A server older than it may not know all of them.
func ScriptSettings(ctx context.Context, tools Tools, archive string) ([]string, error) {
	script, err := SectionScript(ctx, tools, "pre-data", archive, RestoreOptions{Only: []int32{}})
	if err != nil {
		return nil, err
	}
	names := make([]string, len(script.Settings))
	for i, s := range script.Settings {
		names[i] = s.Name
	}
	return names, nil
}

var (
	setStatement = regexp.MustCompile(`^(?:SET ([a-z_]+) = |SELECT pg_catalog\.set_config\('([a-z_]+)', ).*;$`)
	// psqlGuard is what newer pg_dumps put around a script, for psql alone.
	psqlGuard = regexp.MustCompile(`^\\(?:un)?restrict [A-Za-z0-9]+$`)
)

// splitScript takes the head off a script: comments, psql's commands, and
// settings, up to the comment that announces the first object.
func splitScript(text string) Script {
	var s Script
	for text != "" {
		line, rest, _ := strings.Cut(text, "\n")
		switch m := setStatement.FindStringSubmatch(line); {
		case m != nil:
			s.Settings = append(s.Settings, SessionSetting{Name: m[1] + m[2], SQL: line})
		case strings.HasPrefix(line, "-- Name: "):
			s.SQL = "--\n" + withoutGuard(text)
			return s
		case line == "" || strings.HasPrefix(line, "--") || psqlGuard.MatchString(line):
		default: // an object without a comment
			s.SQL = withoutGuard(text)
			return s
		}
		text = rest
	}
	return s
}

// withoutGuard takes psql's command off the end of a script.
func withoutGuard(text string) string {
	trimmed := strings.TrimRight(text, "\n")
	if i := strings.LastIndexByte(trimmed, '\n'); psqlGuard.MatchString(trimmed[i+1:]) {
		return trimmed[:i+1]
	}
	return text
}

// Run runs the script on a session whose client_encoding is the archive's,
// without the settings named. An error names the object that it came with.
func (s Script) Run(ctx context.Context, conn *pgx.Conn, unknown []string) error {
	var settings strings.Builder
	for _, set := range s.Settings {
		if !slices.Contains(unknown, set.Name) {
			settings.WriteString(set.SQL + "\n")
		}
	}
	for _, sql := range []string{settings.String(), s.SQL} {
		if sql == "" {
			continue
		}
		if _, err := conn.PgConn().Exec(ctx, sql).ReadAll(); err != nil {
			return scriptError(sql, err)
		}
	}
	return nil
}

// scriptError adds the object that a statement is about to its error.
func scriptError(sql string, err error) error {
	var pgErr *pgconn.PgError
	if !errors.As(err, &pgErr) {
		return err
	}
	// The position counts characters of what may be another encoding than UTF-8;
	// where the server gives none, nothing is known.
	at := min(max(int(pgErr.Position), 0), len(sql))
	if i := strings.LastIndex(sql[:at], "\n-- Name: "); i >= 0 && at > 0 {
		line, _, _ := strings.Cut(sql[i+len("\n-- Name: "):], "\n")
		name, rest, _ := strings.Cut(line, "; Type: ")
		kind, _, _ := strings.Cut(rest, ";")
		return fmt.Errorf("%s %s: %w", strings.ToLower(kind), name, err)
	}
	return err
}

// unknownSettingCommand is how pg_restore shows the statement that failed.
const unknownSettingCommand = "Command was: SET %s = "

// onlyUnknownSettings tells whether nothing failed in a run of pg_restore but
// settings that were known to fail.
func onlyUnknownSettings(err error, unknown []string) bool {
	var failed *ToolError
	if len(unknown) == 0 || !errors.As(err, &failed) || failed.ExitCode != 1 {
		return false
	}
	expected := 0
	for _, name := range unknown {
		expected += strings.Count(failed.Stderr, fmt.Sprintf(unknownSettingCommand, name))
	}
	// Only the end of what it said is kept, so that the first error's line may be
	// missing while its command is there; never the other way round.
	return expected > 0 && strings.Count(failed.Stderr, "pg_restore: error: ") <= expected
}

package settings_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/job"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/testenv"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/wal/settings"
)

const command = "/opt/it''s 5%%/pgbackup-runner wal push --job '/etc/a b.json' %p"

// states are the states of a plan by name.
func states(plan []settings.Setting) map[string]settings.State {
	m := map[string]settings.State{}
	for _, s := range plan {
		m[s.Name] = s.State
	}
	return m
}

func planned(t *testing.T, conn *pgx.Conn, w settings.Wanted) []settings.Setting {
	t.Helper()
	s, err := settings.Read(t.Context(), conn, w.Slot)
	if err != nil {
		t.Fatal(err)
	}
	plan, err := settings.Plan(w, s)
	if err != nil {
		t.Fatal(err)
	}
	return plan
}

func TestAServerIsSetUpForAPushInOneGoAndARestart(t *testing.T) {
	t.Parallel()
	pg := testenv.Postgres(t, testenv.PostgresOptions{Config: map[string]string{"wal_level": "minimal", "max_wal_senders": "0", "archive_timeout": "30"}})
	w := settings.Wanted{Mode: job.WALPush, Command: command}
	conn := pg.Connect(t, "postgres")
	plan := planned(t, conn, w)
	want := map[string]settings.State{"wal_level": settings.Change, "max_wal_senders": settings.Change, "archive_mode": settings.Change,
		"archive_library": settings.Right, "archive_command": settings.Change, "archive_timeout": settings.Right}
	if got := states(plan); !equal(got, want) {
		t.Fatalf("%v", got)
	}
	plan, err := settings.Apply(t.Context(), conn, w, plan, false)
	if err != nil {
		t.Fatal(err)
	}
	want["wal_level"], want["max_wal_senders"], want["archive_mode"], want["archive_command"] = settings.Waits, settings.Waits, settings.Waits, settings.Waits
	if got := states(plan); !equal(got, want) {
		t.Fatalf("after it: %v", got)
	}
	if again, err := settings.Apply(t.Context(), conn, w, plan, false); err != nil || !slices.Equal(again, plan) {
		t.Errorf("a second time: %v %v", again, err)
	}
	pg.Restart(t)
	conn = pg.Connect(t, "postgres")
	for _, line := range planned(t, conn, w) {
		if line.State != settings.Right {
			t.Errorf("after a restart: %+v", line)
		}
	}
	var shown, timeout string
	if err := conn.QueryRow(t.Context(), "SELECT current_setting('archive_command'), current_setting('archive_timeout')").Scan(&shown, &timeout); err != nil || shown != command || timeout != "30s" {
		t.Errorf("%s %s %v", shown, timeout, err)
	}
}

func equal(a, b map[string]settings.State) bool {
	if len(a) != len(b) {
		return false
	}
	for name, state := range a {
		if b[name] != state {
			return false
		}
	}
	return true
}

func TestAnArchiveCommandOfSomebodyElseStays(t *testing.T) {
	t.Parallel()
	// Hidden while archive_mode is off, and shown while it is on.
	for _, mode := range []string{"off", "on"} {
		pg := testenv.Postgres(t, testenv.PostgresOptions{Config: map[string]string{"archive_mode": mode, "archive_command": "'cp %p /archive/%f'", "wal_level": "replica"}})
		w := settings.Wanted{Mode: job.WALPush, Command: command}
		conn := pg.Connect(t, "postgres")
		plan := planned(t, conn, w)
		if states(plan)["archive_command"] != settings.Foreign {
			t.Fatalf("%v", plan)
		}
		_, err := settings.Apply(t.Context(), conn, w, plan, false)
		if !errors.Is(err, settings.ErrForeign) || !strings.Contains(err.Error(), "cp %p /archive/%f") {
			t.Errorf("%v", err)
		}
		var altered int
		if err := conn.QueryRow(t.Context(), "SELECT count(*) FROM pg_file_settings WHERE sourcefile LIKE '%auto.conf'").Scan(&altered); err != nil || altered != 0 {
			t.Errorf("%d settings were changed: %v", altered, err)
		}
		plan, err = settings.Apply(t.Context(), conn, w, plan, true)
		if got := states(plan)["archive_command"]; err != nil || got != settings.Right && got != settings.Waits {
			t.Errorf("%v %v", plan, err)
		}
	}
}

func TestPlansSayWhatIsRightAndWhatIsNot(t *testing.T) {
	t.Parallel()
	server := func(major int, change ...string) settings.Server {
		s := settings.Server{Major: major, Settings: map[string]settings.Current{}}
		all := []string{"wal_level", "replica", "max_wal_senders", "10", "max_replication_slots", "10", "max_slot_wal_keep_size", "-1", "archive_mode", "on", "archive_library", "",
			"archive_command", command, "archive_timeout", "60", "summarize_wal", "on", "wal_summary_keep_time", "14400"}
		all = append(all, change...)
		for i := 0; i < len(all); i += 2 {
			s.Settings[all[i]] = settings.Current{Value: all[i+1], Pending: all[i+1], Source: "configuration file"}
		}
		return s
	}
	push := settings.Wanted{Mode: job.WALPush, Command: command}
	receive := settings.Wanted{Mode: job.WALReceive, SlotLimit: 4 << 30}
	incremental := settings.Wanted{Incremental: true, FullEvery: 7 * 24 * time.Hour}
	for _, c := range []struct {
		what   string
		w      settings.Wanted
		change []string
		name   string
		want   settings.State
	}{
		{"a level that is more", push, []string{"wal_level", "logical"}, "wal_level", settings.Right},
		{"on a standby too", push, []string{"archive_mode", "always"}, "archive_mode", settings.Right},
		{"a longer time that somebody chose", push, []string{"archive_timeout", "600"}, "archive_timeout", settings.Right},
		{"never", push, []string{"archive_timeout", "0"}, "archive_timeout", settings.Change},
		{"a command that does nothing", push, []string{"archive_command", "/bin/true"}, "archive_command", settings.Change},
		{"ours, from another folder", push, []string{"archive_command", "/old/pgbackup-runner wal push --job '/etc/a b.json' %p"}, "archive_command", settings.Change},
		{"ours, with another job", push, []string{"archive_command", "/old/pgbackup-runner wal push --job /etc/b.json %p"}, "archive_command", settings.Foreign},
		{"a library", push, []string{"archive_library", "basic_archive"}, "archive_library", settings.Foreign},
		{"too few senders", receive, []string{"max_wal_senders", "3"}, "max_wal_senders", settings.Change},
		{"enough for backups", push, []string{"max_wal_senders", "3"}, "max_wal_senders", settings.Right},
		{"a limit that makes gaps", receive, []string{"max_slot_wal_keep_size", "1024"}, "max_slot_wal_keep_size", settings.Advice},
		{"a limit that is told of first", receive, []string{"max_slot_wal_keep_size", "8192"}, "max_slot_wal_keep_size", settings.Right},
		{"no slots", receive, []string{"max_replication_slots", "0"}, "max_replication_slots", settings.Change},
		{"no summaries", incremental, []string{"summarize_wal", "off"}, "summarize_wal", settings.Change},
		{"ten days, the default", incremental, nil, "wal_summary_keep_time", settings.Right},
		{"for ever", incremental, []string{"wal_summary_keep_time", "0"}, "wal_summary_keep_time", settings.Right},
		{"shorter than between full ones", incremental, []string{"wal_summary_keep_time", "1440"}, "wal_summary_keep_time", settings.Change},
	} {
		plan, err := settings.Plan(c.w, server(17, c.change...))
		if got := states(plan)[c.name]; err != nil || got != c.want {
			t.Errorf("%s: %s is %q, want %q: %v", c.what, c.name, got, c.want, err)
		}
	}
	if _, err := settings.Plan(incremental, server(16)); err == nil || !strings.Contains(err.Error(), "17") {
		t.Error(err)
	}
	plan, err := settings.Plan(settings.Wanted{}, server(15))
	if err != nil || len(plan) != 2 {
		t.Errorf("base backups alone: %v %v", plan, err)
	}
	s := server(15, "wal_level", "minimal")
	s.Settings["wal_level"] = settings.Current{Value: "minimal", Pending: "minimal", Source: "command line", Restart: true}
	if plan, err = settings.Plan(push, s); err != nil || states(plan)["wal_level"] != settings.Elsewhere {
		t.Errorf("%v %v", plan, err)
	}
}

// Who may not see what is hidden must not overwrite it.
func TestWhoMayNotSeeTheArchiveCommandDoesNotReplaceIt(t *testing.T) {
	t.Parallel()
	pg := testenv.Postgres(t, testenv.PostgresOptions{Config: map[string]string{"archive_command": "'cp %p /archive/%f'"}})
	pg.Exec(t, "postgres", "CREATE ROLE few LOGIN PASSWORD 'x' IN ROLE pg_read_all_settings")
	conn, err := pgx.Connect(t.Context(), pg.URLFor("few", "x", "postgres"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	w := settings.Wanted{Mode: job.WALPush, Command: command}
	plan := planned(t, conn, w)
	if line := of(plan, "archive_command"); line.State != settings.Hidden || !strings.Contains(line.Why, "role few may not read the files of the server (pg_file_settings): a superuser can") {
		t.Errorf("%+v", line)
	}
	for _, replace := range []bool{false, true} {
		_, err := settings.Apply(t.Context(), conn, w, plan, replace)
		if !errors.Is(err, settings.ErrHidden) || errors.Is(err, settings.ErrForeign) || !strings.Contains(err.Error(), "superuser") {
			t.Error(err)
		}
	}

	// What waits for a restart is not right, nor wrong, for who cannot see it.
	pg.Exec(t, "postgres", "ALTER SYSTEM SET max_wal_senders = 1", "SELECT pg_reload_conf()")
	for begun := time.Now(); ; time.Sleep(50 * time.Millisecond) {
		line := of(planned(t, conn, w), "max_wal_senders")
		if line.State == settings.Hidden && strings.Contains(line.Why, "waits for a restart") && line.Is == "10" {
			break
		}
		if time.Since(begun) > 10*time.Second {
			t.Fatalf("%+v", line)
		}
	}

	// With the right to read the files it is known whose it is.
	pg.Exec(t, "postgres", "GRANT SELECT ON pg_file_settings TO few", "GRANT EXECUTE ON FUNCTION pg_show_all_file_settings() TO few")
	if line := of(planned(t, conn, w), "archive_command"); line.State != settings.Foreign || line.Is != "cp %p /archive/%f" {
		t.Errorf("%+v", line)
	}
}

func of(plan []settings.Setting, name string) settings.Setting {
	return plan[slices.IndexFunc(plan, func(s settings.Setting) bool { return s.Name == name })]
}

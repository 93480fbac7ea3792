package postgres_test

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/postgres"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/testenv"
)

func TestASettingOfATargetBeatsThatOfTheRoleInSessionsAndPrograms(t *testing.T) {
	t.Parallel()
	pg := testenv.Postgres(t)
	pg.Exec(t, "postgres", "ALTER ROLE postgres SET search_path = elsewhere")
	plain, err := postgres.ParseTarget(pg.URL("postgres"))
	if err != nil {
		t.Fatal(err)
	}
	const want = `"a b", c\d`
	target := plain.WithSetting("search_path", want).WithSetting("work_mem", "7MB")
	conn, err := target.Connect(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	var path, memory string
	if err := conn.QueryRow(t.Context(), "SELECT current_setting('search_path'), current_setting('work_mem')").Scan(&path, &memory); err != nil || path != want || memory != "7MB" {
		t.Errorf("a session has %q and %q, %v", path, memory, err)
	}
	cmd := exec.Command("psql", "-XAtc", "SHOW search_path", "-c", "SHOW work_mem")
	cmd.Env = target.Env(pg.Major)
	if out, err := cmd.CombinedOutput(); err != nil || strings.TrimSpace(string(out)) != want+"\n7MB" {
		t.Errorf("psql has %q, %v", out, err)
	}
	if conn, err = plain.Connect(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	if err := conn.QueryRow(t.Context(), "SELECT current_setting('search_path')").Scan(&path); err != nil || path != "elsewhere" {
		t.Errorf("the target it was made of has %q, %v", path, err)
	}
}

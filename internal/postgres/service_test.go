package postgres_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/postgres"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/testenv"
)

// services makes a service file and lets PGSERVICEFILE name it.
func services(t *testing.T, text string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "pg_service.conf")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PGSERVICEFILE", file)
}

// A restore that was sent to staging must not end up in production.
func TestTheEnvironmentDoesNotLeadClientProgramsToAnotherServer(t *testing.T) {
	server := testenv.Postgres(t)
	to, err := postgres.ParseTarget(server.URL("postgres"))
	if err != nil {
		t.Fatal(err)
	}
	tools, err := postgres.FindTools(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	services(t, "[production]\nhost=127.0.0.1\nport=1\nuser=nobody\n")
	for name, value := range map[string]string{"PGSERVICE": "production", "PGHOSTADDR": "192.0.2.1"} {
		t.Run(name, func(t *testing.T) {
			t.Setenv(name, value)
			if to, err = postgres.ParseTarget(server.URL("postgres")); err != nil {
				t.Fatal(err)
			}
			if _, err := postgres.DumpGlobals(t.Context(), tools, to); err != nil {
				t.Errorf("pg_dumpall went elsewhere than the connection string says: %v", err)
			}
		})
	}
}

func TestClientProgramsAreToldWhatAServiceSays(t *testing.T) {
	services(t, "[shop]\nhost=db.example.org\nport=5555\nuser=backup\npassword=secret\ndbname=shop\nsslmode=require\nkrbsrvname=pg\n[addressed]\nhostaddr=192.0.2.1\n")
	t.Setenv("PGSERVICE", "shop")
	to, err := postgres.ParseTarget("port=6666")
	if err != nil {
		t.Fatal(err)
	}
	env := to.Env(15)
	for _, want := range []string{"PGHOST=db.example.org", "PGPORT=6666", "PGUSER=backup", "PGPASSWORD=secret", "PGDATABASE=shop", "PGSSLMODE=require", "PGKRBSRVNAME=pg"} {
		if !slices.Contains(env, want) {
			t.Errorf("%s is not in the environment", want)
		}
	}
	if all := strings.Join(env, "\n"); strings.Contains(all, "PGSERVICE") {
		t.Error("the service is named, which beats the port")
	}
	if _, err := postgres.ParseTarget("service=addressed"); err == nil || !strings.Contains(err.Error(), "hostaddr") {
		t.Errorf("hostaddr: %v", err)
	}
}

func TestATargetOfSeveralHostsIsNoOneServer(t *testing.T) {
	t.Parallel()
	for conninfo, several := range map[string]bool{"postgres://u@a,b/app": true, "postgres://u@a/app": false} {
		to, err := postgres.ParseTarget(conninfo)
		if err != nil {
			t.Fatal(err)
		}
		if err := to.OneServer(); errors.Is(err, postgres.ErrSeveralHosts) != several {
			t.Errorf("%s: %v", conninfo, err)
		}
	}
}

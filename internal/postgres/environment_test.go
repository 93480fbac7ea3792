package postgres_test

import (
	"strings"
	"testing"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/postgres"
)

// C1
func TestTheStoresSecretsDoNotReachPostgreSQLsPrograms(t *testing.T) {
	t.Setenv("AWS_SECRET_ACCESS_KEY", "not-theirs")
	t.Setenv("BACKUP_ENCRYPTION_KEY", "not-theirs")
	to, err := postgres.ParseTarget("postgres://someone:secret@127.0.0.1/app")
	if err != nil {
		t.Fatal(err)
	}
	env := strings.Join(to.Env(15), "\n")
	if strings.Contains(env, "not-theirs") {
		t.Errorf("the store's secrets are in the environment of pg_dump")
	}
	if !strings.Contains(env, "PGPASSWORD=secret") {
		t.Errorf("the password of the database is missing")
	}
}

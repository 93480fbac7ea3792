package postgres_test

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/postgres"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/postgres/pgarchive"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/testenv"
)

func target(t testing.TB, conninfo string) postgres.Target {
	t.Helper()
	target, err := postgres.ParseTarget(conninfo)
	if err != nil {
		t.Fatal(err)
	}
	return target
}

func tools(t testing.TB, pg *testenv.PostgresServer) postgres.Tools {
	t.Helper()
	tools, err := postgres.FindTools(t.Context(), pg.Major)
	if err != nil {
		t.Fatal(err)
	}
	return tools
}

func connect(t testing.TB, to postgres.Target) *pgx.Conn {
	t.Helper()
	conn, err := to.Connect(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		defer cancel()
		_ = conn.Close(ctx)
	})
	return conn
}

func openSnapshot(t testing.TB, from postgres.Target, sel postgres.Selection, o postgres.SnapshotOptions) *postgres.Snapshot {
	t.Helper()
	s, err := postgres.OpenSnapshot(t.Context(), from, sel, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Release() })
	return s
}

// dump returns the archive of a snapshot, and a Reader that has read it to its end.
func dump(t testing.TB, with postgres.Tools, from postgres.Target, sel postgres.Selection, s *postgres.Snapshot) ([]byte, *pgarchive.Reader) {
	t.Helper()
	p, err := postgres.Dump(t.Context(), with, from, postgres.DumpOptions{SnapshotID: s.ID, Selection: sel, ServerMajor: s.Server.Major, Encoding: s.Server.Encoding})
	if err != nil {
		t.Fatal(err)
	}
	archive, readErr := io.ReadAll(p.Stdout)
	if err := errors.Join(readErr, p.Wait()); err != nil {
		t.Fatal(err)
	}
	r := pgarchive.NewReader(pgarchive.Events{})
	if _, err := r.Write(archive); err != nil {
		t.Fatal(err)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	return archive, r
}

// wantError checks a one-line error of a kind that contains all words and no secret.
func wantError(t *testing.T, err, kind error, secret string, words ...string) {
	t.Helper()
	if err == nil {
		t.Fatalf("no error, want %v", kind)
	}
	if kind != nil && !errors.Is(err, kind) {
		t.Errorf("%v: not %v", err, kind)
	}
	text := err.Error()
	if strings.Contains(text, "\n") || secret != "" && strings.Contains(text, secret) {
		t.Errorf("not one line, or with a secret: %q", text)
	}
	for _, w := range words {
		if !strings.Contains(text, w) {
			t.Errorf("%q does not contain %q", text, w)
		}
	}
}

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/exitcode"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/testenv"
)

// runWAL runs a command line to its end.
func runWAL(ctx context.Context, args ...string) (code exitcode.Code, out, log string) {
	var o, l bytes.Buffer
	code = run(ctx, streams{in: strings.NewReader(""), out: &o, err: &l}, args)
	return code, o.String(), l.String()
}

func TestReceiverRunsUntilItIsStoppedAndItsSlotCanBeDropped(t *testing.T) {
	pg := testenv.Postgres(t)
	dir := t.TempDir()
	alive := filepath.Join(dir, "alive")
	t.Setenv(envAlive, alive)
	t.Setenv("SHOP_PASSWORD", pg.Password)
	place := "file://" + filepath.Join(dir, "repo")
	if code, _, log := runWAL(t.Context(), "init", "--repository", place); code != 0 {
		t.Fatal(log)
	}
	file := func(name, wal string) string {
		path := filepath.Join(dir, name)
		document := `{"format": 1, "name": "` + name + `", "kind": "wal", "repository": "` + place + `", "source": "shop", "metrics": "emf", "wal": ` + wal + `}`
		if err := os.WriteFile(path, []byte(document), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	server, err := json.Marshal(map[string]any{"host": pg.Host, "port": pg.Port, "user": pg.User, "sslmode": "disable", "password_ref": "env:SHOP_PASSWORD"})
	if err != nil {
		t.Fatal(err)
	}
	receive := file("receive", `{"mode": "receive", "every": "1s", "spool": "`+dir+`/spool", "heartbeat": {"every": "1s"}, "server": `+string(server)+`}`)
	push := file("push", `{"mode": "push"}`)

	for wrong, args := range map[string][]string{
		"its server archives by itself": {"--job", push},
		"give stored or spooled":        {"--job", receive, "--confirm", "stord"},
		"--every":                       {"--job", receive, "--every", "often"},
		"no database is named":          {"--repository", place},
	} {
		if code, _, log := runWAL(t.Context(), append([]string{"wal", "receive"}, args...)...); code != exitcode.Usage || !strings.Contains(log, wrong) {
			t.Errorf("%v: exit code %d: %s", args, code, log)
		}
	}

	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	type end struct {
		code exitcode.Code
		log  string
	}
	done := make(chan end, 1)
	go func() {
		code, _, log := runWAL(ctx, "wal", "receive", "--job", receive)
		done <- end{code, log}
	}()
	status := []string{"wal", "status", "--repository", place, "--source", "shop", "--json"}
	deadline := time.Now().Add(time.Minute)
	for {
		_, out, _ := runWAL(t.Context(), status...)
		_, err := os.Stat(alive)
		if strings.Contains(out, `"newest_commit"`) && err == nil {
			break
		}
		if time.Now().After(deadline) {
			stop()
			t.Fatalf("nothing arrives: %s\n%s", out, (<-done).log)
		}
		time.Sleep(200 * time.Millisecond)
	}
	if code, _, log := runWAL(t.Context(), "wal", "receive", "--job", receive, "--drop-slot"); code != exitcode.Failed || !strings.Contains(log, "stop the receiver first") {
		t.Errorf("drop the slot of a receiver at work: exit code %d: %s", code, log)
	}
	stop()
	ended := <-done
	if ended.code != exitcode.Done {
		t.Errorf("exit code %d: %s", ended.code, ended.log)
	}
	if strings.Contains(ended.log, pg.Password) {
		t.Error("the password is in the log")
	}
	for _, want := range []string{"receiving WAL", "the archive begins", `"slot":"pgbackup_shop"`} {
		if !strings.Contains(ended.log, want) {
			t.Errorf("the log does not say %q:\n%s", want, ended.log)
		}
	}
	code, out, log := runWAL(t.Context(), "wal", "receive", "--job", receive, "--drop-slot")
	if code != exitcode.Done || !strings.Contains(out, "pgbackup_shop") {
		t.Errorf("drop the slot: exit code %d: %s%s", code, out, log)
	}
	if code, _, log := runWAL(t.Context(), "wal", "receive", "--job", receive, "--drop-slot"); code != exitcode.NotFound {
		t.Errorf("drop it again: exit code %d: %s", code, log)
	}
}

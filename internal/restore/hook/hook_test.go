package hook_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/restore/hook"
)

// run runs a hook and returns what went into the log.
func run(t *testing.T, ctx context.Context, h hook.Hook) (string, error) {
	t.Helper()
	var log bytes.Buffer
	h.Name, h.Log = "before", slog.New(slog.NewTextHandler(&log, nil))
	err := hook.Run(ctx, h)
	return log.String(), err
}

func TestAHookIsToldItsContextAndNoSecrets(t *testing.T) {
	t.Setenv("SECRET_KEY", "geheim")
	t.Setenv("PGBACKUP_DATABASE", "inherited")
	t.Setenv("ORDINARY", "yes")
	log, err := run(t, t.Context(), hook.Hook{
		Command: `echo "$PGBACKUP_DATABASE|$PGBACKUP_ERROR|$ORDINARY|$SECRET_KEY|"; echo problem >&2`,
		Env:     map[string]string{"PGBACKUP_DATABASE": "app", "PGBACKUP_ERROR": "it's; $(touch x) \x00odd"}, Hide: []string{"SECRET_KEY"},
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`app|it's; $(touch x) odd|yes||`, "msg=problem", "hook=before"} {
		if !strings.Contains(log, want) {
			t.Errorf("the log lacks %s: %s", want, log)
		}
	}
}

func TestAHookThatFailsSaysItsLastWords(t *testing.T) {
	t.Parallel()
	_, err := run(t, t.Context(), hook.Hook{Command: `for i in 1 2 3 4 5 6; do echo line $i; done; printf 'no newline' >&2; exit 7`})
	if err == nil || err.Error() != "before hook: exit status 7: line 4; line 5; line 6; no newline" {
		t.Error(err)
	}
	_, err = run(t, t.Context(), hook.Hook{Command: "false"})
	if err == nil || !strings.Contains(err.Error(), "exit status 1, and it wrote nothing") {
		t.Error(err)
	}
	_, err = run(t, t.Context(), hook.Hook{Command: "/no/such/program"})
	if err == nil || !strings.Contains(err.Error(), "not found") {
		t.Error(err)
	}
}

func TestAHookThatTakesTooLongEndsWithAllItStarted(t *testing.T) {
	t.Parallel()
	mark := filepath.Join(t.TempDir(), "alive")
	begun := time.Now()
	// It ignores SIGTERM, and so does what it started.
	_, err := run(t, t.Context(), hook.Hook{Limit: 300 * time.Millisecond, Command: `trap "" TERM; (trap "" TERM; sleep 8; touch ` + mark + `) & echo waiting; sleep 8`})
	if !errors.Is(err, hook.ErrTimeLimit) || !strings.Contains(err.Error(), "waiting") || !strings.Contains(err.Error(), "300ms") {
		t.Error(err)
	}
	if took := time.Since(begun); took > 7*time.Second {
		t.Errorf("it took %s", took)
	}
	time.Sleep(time.Until(begun.Add(9 * time.Second)))
	if _, err := os.Stat(mark); err == nil {
		t.Error("what the hook started lives on")
	}
}

func TestAnInterruptionEndsAHook(t *testing.T) {
	t.Parallel()
	stopped := errors.New("interrupted")
	ctx, cancel := context.WithCancelCause(t.Context())
	time.AfterFunc(200*time.Millisecond, func() { cancel(stopped) })
	begun := time.Now()
	_, err := run(t, ctx, hook.Hook{Command: "sleep 30"})
	if !errors.Is(err, stopped) || time.Since(begun) > 4*time.Second {
		t.Errorf("%v after %s", err, time.Since(begun))
	}
}

func TestLongAndManyLinesAreLoggedInBoundedMemory(t *testing.T) {
	t.Parallel()
	log, err := run(t, t.Context(), hook.Hook{Command: `head -c 100000 /dev/zero | tr '\0' x; echo; echo end`})
	if err != nil || strings.Count(log, "\n") < 12 || !strings.Contains(log, "msg=end") {
		t.Errorf("%v, %d lines", err, strings.Count(log, "\n"))
	}
}

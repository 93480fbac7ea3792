package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"testing"
	"time"
)

func TestACommandLineIsReadByAShellAsTheWordsItWasMadeOf(t *testing.T) {
	t.Parallel()
	words := []string{"a", "", "two words", "it's", `"$HOME" \ *`, "-chdir=x", "ü", "a\nb"}
	out, err := exec.Command("sh", "-c", commandLine(append([]string{"printf", `%s\0`}, words...)...)).Output()
	if err != nil {
		t.Fatal(err)
	}
	if got, want := string(out), strings.Join(words, "\x00")+"\x00"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestOutputIsIndentedHoweverItIsCutIntoPieces(t *testing.T) {
	t.Parallel()
	const text, want = "  a\n\nb c\nd", "       a\n\n     b c\n     d"
	for size := 1; size <= len(text); size++ {
		var out bytes.Buffer
		s := shell{out: &out}
		w := s.indented()
		for rest := text; rest != ""; {
			n := min(size, len(rest))
			if _, err := w.Write([]byte(rest[:n])); err != nil {
				t.Fatal(err)
			}
			rest = rest[n:]
		}
		if out.String() != want {
			t.Errorf("in pieces of %d: got %q, want %q", size, out.String(), want)
		}
	}
}

func TestAPipeFailsWhicheverEndFails(t *testing.T) {
	t.Parallel()
	good, bad := []string{"sh", "-c", "echo data; cat"}, []string{"sh", "-c", "exit 3"}
	for _, c := range []struct {
		from, to []string
		fails    bool
	}{{[]string{"echo", "x"}, good, false}, {bad, good, true}, {[]string{"echo", "x"}, bad, true}, {[]string{"no-such-program"}, good, true}, {[]string{"yes"}, []string{"no-such-program"}, true}} {
		var out bytes.Buffer
		s := shell{out: &out}
		if err := s.pipe(t.Context(), c.from, c.to); (err != nil) != c.fails {
			t.Errorf("%v | %v: %v", c.from, c.to, err)
		}
		if want := fmt.Sprintf("$ %s | %s\n", commandLine(c.from...), commandLine(c.to...)); !strings.Contains(out.String(), want) {
			t.Errorf("%q was not shown: %q", want, out.String())
		}
	}
}

func TestBothEndsOfAPipeMayWriteAtTheSameTime(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	s := shell{out: &out}
	const loop = "i=0; while [ $i -lt 500 ]; do echo x; i=$((i+1)); done"
	if err := s.pipe(t.Context(), []string{"sh", "-c", "(" + loop + ") >&2"}, []string{"sh", "-c", loop}); err != nil {
		t.Fatal(err)
	}
	if got := strings.Count(out.String(), "     x\n"); got != 1000 {
		t.Errorf("%d of 1000 lines arrived", got)
	}
}

func TestAnInterruptEndsTheCommandThatRuns(t *testing.T) {
	t.Parallel()
	interrupt := errors.New("Ctrl-C")
	ctx, cancel := context.WithCancelCause(t.Context())
	time.AfterFunc(200*time.Millisecond, func() { cancel(interrupt) })
	begun := time.Now()
	s := shell{out: &bytes.Buffer{}}
	err := s.run(ctx, "sleep", "60")
	if !errors.Is(err, interrupt) || time.Since(begun) > 10*time.Second {
		t.Errorf("after %s: %v", time.Since(begun), err)
	}
}

func TestWhatTheUsersShellSaysOfDatabasesAndBackupsIsForgotten(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]bool{
		"PGHOST": true, "PGPASSWORD": true, "DATABASE_URL": true, "BACKUP_BUCKET": true, "TF_VAR_folder": true, "TF_CLI_CONFIG_FILE": true,
		"PGBACKUP_PG_BIN": false, "PATH": false, "HOME": false, "AWS_PROFILE": false,
	} {
		if got := disturbs(name); got != want {
			t.Errorf("%s: %t", name, got)
		}
	}
}

func TestAnOldTerraformIsNotUsed(t *testing.T) {
	t.Parallel()
	for version, want := range map[string]bool{"1.11.4": true, "1.12.0-beta1": true, "2.0.0": true, "1.10.9": false, "0.15.5": false, "": false, "dev": false} {
		if got := recent(version); got != want {
			t.Errorf("%q: %t", version, got)
		}
	}
}

func TestNumbersOfRowsAreReadable(t *testing.T) {
	t.Parallel()
	for n, want := range map[int64]string{0: "0", 999: "999", 1000: "1,000", 1234567: "1,234,567"} {
		if got := thousands(n); got != want {
			t.Errorf("%d: %s", n, got)
		}
	}
}

package runnerdist

import (
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/runnerdist/runnertest"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/runnerdist/usemark"
)

func read(t *testing.T, b Build) ([]byte, error) {
	t.Helper()
	r, err := b.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = r.Close() }()
	return io.ReadAll(r)
}

func TestAPackedRunnerComesOutByteForByteAndTheSameEachTime(t *testing.T) {
	t.Parallel()
	packer := filepath.Join(t.TempDir(), "pack")
	if text, err := exec.Command("go", "build", "-o", packer, "./pack").CombinedOutput(); err != nil {
		t.Fatalf("build pack: %v\n%s", err, text)
	}
	var packed [2]string
	for i := range packed {
		out := t.TempDir()
		source := runnertest.Build(t, t.TempDir(), AMD64, "one")
		file := filepath.Join(out, embeddedName(AMD64)+".gz")
		if text, err := exec.Command(packer, source, file).CombinedOutput(); err != nil {
			t.Fatalf("pack: %v\n%s", err, text)
		}
		archive, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		packed[i] = string(archive)
		set, err := fromArchive(os.DirFS(out))
		if err != nil {
			t.Fatal(err)
		}
		b, err := set.Find(AMD64)
		if err != nil {
			t.Fatal(err)
		}
		program, err := read(t, b)
		if err != nil {
			t.Fatal(err)
		}
		want, err := os.ReadFile(source)
		if err != nil || string(program) != string(want) || int64(len(program)) != b.Size {
			t.Errorf("%d bytes came out of %d, %d were promised, %v", len(program), len(want), b.Size, err)
		}
		if _, err := set.Find(ARM64); !errors.Is(err, ErrNoBuild) || !strings.Contains(err.Error(), "which has linux/amd64") {
			t.Errorf("a missing architecture: %v", err)
		}
	}
	if packed[0] != packed[1] {
		t.Error("the same program was packed into different bytes")
	}
}

func TestAProviderWithoutRunnersSaysWhatToDo(t *testing.T) {
	t.Parallel()
	set, err := fromArchive(fstest.MapFS{"README": {}})
	if err != nil {
		t.Fatal(err)
	}
	_, err = set.Find(AMD64)
	if !errors.Is(err, ErrNoBuild) || !strings.Contains(err.Error(), "runner_path") || !strings.Contains(err.Error(), "make build") {
		t.Errorf("got %v", err)
	}
}

func TestTheArchitectureOfAFileIsReadFromTheProgram(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	runnertest.Build(t, dir, ARM64, "one")
	runnertest.Build(t, dir, AMD64, "one")
	if err := os.WriteFile(filepath.Join(dir, "pgbackup-runner.sha256"), []byte("text"), 0o600); err != nil {
		t.Fatal(err)
	}
	set, err := FromPath(dir)
	if err != nil {
		t.Fatal(err)
	}
	if have := set.have(); have != "linux/amd64 and linux/arm64" {
		t.Errorf("found %s", have)
	}
	misnamed := filepath.Join(t.TempDir(), "pgbackup-runner_linux_amd64")
	if err := os.Rename(filepath.Join(dir, "pgbackup-runner_linux_arm64"), misnamed); err != nil {
		t.Fatal(err)
	}
	set, err = FromPath(misnamed)
	if err != nil || set.have() != "linux/arm64" {
		t.Errorf("found %s, %v", set.have(), err)
	}
}

func TestAPathWithoutAProgramIsRefused(t *testing.T) {
	t.Parallel()
	empty, text := t.TempDir(), filepath.Join(t.TempDir(), "pgbackup-runner")
	if err := os.WriteFile(text, []byte("#!/bin/sh\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{empty: "no program", text: "not a program for linux", filepath.Join(empty, "x"): "no such file"} {
		if _, err := FromPath(path); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", path, err)
		}
	}
}

func TestAProgramThatChangedAfterItWasHashedFailsAtItsEnd(t *testing.T) {
	t.Parallel()
	path := runnertest.Build(t, t.TempDir(), AMD64, "one")
	set, err := FromPath(path)
	if err != nil {
		t.Fatal(err)
	}
	b, err := set.Find(AMD64)
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString("x"); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := read(t, b); err == nil || !strings.Contains(err.Error(), "changed or is damaged") {
		t.Errorf("got %v", err)
	}
}

func TestArchitecturesAreReadInEverySpelling(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{"x86_64": AMD64, "amd64": AMD64, "arm64": ARM64, "aarch64": ARM64} {
		if got, err := ParseArch(name); err != nil || got != want {
			t.Errorf("%s: %s, %v", name, got, err)
		}
	}
	if _, err := ParseArch("x68_64"); err == nil || !strings.Contains(err.Error(), `did you mean "x86_64"`) {
		t.Errorf("got %v", err)
	}
}

func TestAReleaseIsReadBackAsItWasWritten(t *testing.T) {
	t.Parallel()
	one, two := strings.Repeat("0a", 32), strings.Repeat("1b", 32)
	for _, r := range []Release{
		{Program: "/opt/pg #1/pgbackup-runner", SHA256: map[string]string{"x86_64": one}},
		{Repository: "s3://bucket/p?region=eu-west-1", SHA256: map[string]string{"x86_64": one, "arm64": two}},
	} {
		again, err := ParseRelease(r.String())
		if err != nil || again.String() != r.String() || again.Program != r.Program || again.Repository != r.Repository {
			t.Errorf("%s: %+v, %v", r, again, err)
		}
	}
	for _, bad := range []string{"", "#", "x", "host:rel#x86_64:" + one, "file:///x#x86_64:short", "file:///x#sparc:" + one} {
		if r, err := ParseRelease(bad); err == nil {
			t.Errorf("%q was taken as %+v", bad, r)
		}
	}
}

func TestAnArchiveForLambdaHoldsTheProgramAndIsTheSameEachTime(t *testing.T) {
	t.Parallel()
	set, err := FromPath(runnertest.Build(t, t.TempDir(), AMD64, "one"))
	if err != nil {
		t.Fatal(err)
	}
	b, err := set.Find(AMD64)
	if err != nil {
		t.Fatal(err)
	}
	one, err := LambdaZip(b)
	if err != nil {
		t.Fatal(err)
	}
	two, err := LambdaZip(b)
	if err != nil || string(one) != string(two) {
		t.Errorf("two archives of one build differ, %v", err)
	}
	if got := LambdaSHA256(one); got != b.SHA256 {
		t.Errorf("the program in it has %s, want %s", got, b.SHA256)
	}
	for name, damaged := range map[string][]byte{"a cut one": one[:len(one)/2], "none": nil, "a changed one": append([]byte(string(one[:2000])+"xx"), one[2002:]...)} {
		if got := LambdaSHA256(damaged); got == b.SHA256 {
			t.Errorf("%s passes for the real one", name)
		}
	}
}

func TestAMarkOfUseIsReadBackFromItsKey(t *testing.T) {
	t.Parallel()
	u := usemark.Use{Runner: strings.Repeat("0a", 32), Job: "nightly", Target: "github_actions", File: strings.Repeat("1b", 32)}
	if got, ok := usemark.ParseUse(u.Key()); !ok || got != u {
		t.Errorf("%s: %+v, %v", u.Key(), got, ok)
	}
	for _, other := range []string{Key(u.Runner, AMD64), LambdaKey(u.Runner, ARM64), "", "runner/x/used-by/nightly/host-y"} {
		if u, ok := usemark.ParseUse(other); ok {
			t.Errorf("%s was taken as %+v", other, u)
		}
	}
}

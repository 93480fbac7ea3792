// Package runnertest builds small real programs that stand in for a runner in
// tests about carrying it, where what it does is of no interest but its bytes,
// its architecture and that it runs are.
package runnertest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// Build compiles a program for linux/arch that prints version, into dir, and
// returns its path. Another version gives other bytes.
func Build(t testing.TB, dir, arch, version string) string {
	t.Helper()
	source := t.TempDir()
	for name, text := range map[string]string{
		"go.mod":  "module runner\n",
		"main.go": fmt.Sprintf("package main\n\nvar version = %q\n\nfunc main() { println(version) }\n", version),
	} {
		if err := os.WriteFile(filepath.Join(source, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	out := filepath.Join(dir, "pgbackup-runner_linux_"+arch)
	cmd := exec.Command("go", "build", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w -buildid=", "-o", out, ".")
	cmd.Dir = source
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+arch, "GOFLAGS=", "GOWORK=off")
	if text, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build a small program for linux/%s: %v\n%s", arch, err, text)
	}
	return out
}

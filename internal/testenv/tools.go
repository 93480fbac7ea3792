package testenv

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// toolDir is where `make tools` puts the programs tests need, relative to the
// module root.
const toolDir = ".tools/bin"

// Tool returns the path of a program: the pinned build in .tools/bin of the
// module, or else the one on PATH. The test fails when there is neither.
func Tool(t testing.TB, name string) string {
	t.Helper()
	if root, ok := moduleRoot(); ok {
		p := filepath.Join(root, filepath.FromSlash(toolDir), name)
		if st, err := os.Stat(p); err == nil && st.Mode().IsRegular() {
			return p
		}
	}
	if p, err := exec.LookPath(name); err == nil {
		return p
	}
	t.Fatalf("%s is neither in %s nor on PATH: run `make tools` in the module root", name, toolDir)
	return ""
}

// moduleRoot walks up from the working directory (a package's folder during its
// tests) to the folder that holds go.mod.
func moduleRoot() (string, bool) {
	dir, err := os.Getwd()
	if err != nil {
		return "", false
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, true
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", false
		}
		dir = parent
	}
}

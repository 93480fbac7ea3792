// Package internal_test holds the test that keeps the house in order: which
// package may import which.
package internal_test

import (
	"encoding/json"
	"os/exec"
	"path"
	"strings"
	"testing"
)

const module = "github.com/pgbackup/terraform-provider-pgbackup/"

// floors lists the house from the ground up. A package may import packages of
// lower floors, and of its own floor where the floor says so.
var floors = []struct {
	name     string
	together bool // packages of this floor may import each other
	packages []string
}{
	{"decisions", true, []string{"internal/duration", "internal/bytesize", "internal/nearest", "internal/strictjson", "internal/exitcode", "internal/timezone", "internal/identifier", "internal/secretref", "internal/retention", "internal/policy", "internal/schedule", "internal/job", "internal/storageclass", "internal/cost", "internal/impact", "internal/lifecycle", "internal/simulate", "internal/statefile", "internal/parallel", "internal/iampolicy", "internal/metric", "internal/alarm", "internal/drillreport", "internal/approval", "internal/pgwal"}},
	{"adapters", true, []string{"internal/objstore", "internal/seal", "internal/repo", "internal/postgres", "internal/secret", "internal/location", "internal/logical", "internal/contents", "internal/awsapi", "internal/runnerdist", "internal/foreign", "internal/archive"}},
	{"engines", false, []string{"internal/backup", "internal/verify", "internal/restore", "internal/rotate", "internal/wal", "internal/rds", "internal/runbook"}},
	{"proving", false, []string{"internal/drill"}},
	{"carrying and being seen", false, []string{"internal/deploy", "internal/observe"}},
	{"faces", false, []string{"provider", "runner", "."}},
}

// programs are tools of the house itself; nothing imports them.
var programs = []string{"internal/testenv", "internal/quickstart", "internal/demoaws", "internal/history", "internal/bench", "internal/docsgen", "internal/proof", "internal/runnerdist/pack"}

func floorOf(pkg string) (floor int, room string) {
	for i, f := range floors {
		for _, p := range f.packages {
			if pkg == p || strings.HasPrefix(pkg, p+"/") {
				return i, p
			}
		}
	}
	return -1, ""
}

func isProgram(pkg string) bool {
	for _, p := range programs {
		if pkg == p || strings.HasPrefix(pkg, p+"/") {
			return true
		}
	}
	return false
}

func TestImportsPointDownTheHouse(t *testing.T) {
	cmd := exec.Command("go", "list", "-json=ImportPath,Imports,TestImports,XTestImports", "./...")
	cmd.Dir = ".."
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	dec := json.NewDecoder(strings.NewReader(string(out)))
	seen := 0
	for dec.More() {
		var p struct {
			ImportPath string
			Imports    []string
		}
		if err := dec.Decode(&p); err != nil {
			t.Fatal(err)
		}
		pkg := strings.TrimPrefix(p.ImportPath+"/", module)
		pkg = path.Clean(pkg)
		if p.ImportPath+"/" == module {
			pkg = "."
		}
		if isProgram(pkg) || pkg == "internal" {
			continue
		}
		floor, room := floorOf(pkg)
		if floor < 0 {
			t.Errorf("package %s has no floor in the house: add it to the list", pkg)
			continue
		}
		seen++
		for _, imported := range p.Imports {
			if !strings.HasPrefix(imported, module) {
				continue
			}
			imported = strings.TrimPrefix(imported, module)
			if isProgram(imported) && !strings.HasPrefix(imported, pkg+"/") && !strings.HasSuffix(pkg, "test") {
				t.Errorf("%s imports %s, which is for tests and tools only", pkg, imported)
				continue
			}
			below, otherRoom := floorOf(imported)
			switch {
			case below > floor:
				t.Errorf("%s (%s) imports %s (%s): arrows point down only", pkg, floors[floor].name, imported, floors[below].name)
			case below == floor && room != otherRoom && !floors[floor].together && pkg != ".":
				t.Errorf("%s imports %s: packages of the floor %q do not import each other", pkg, imported, floors[floor].name)
			}
		}
	}
	if seen < 20 {
		t.Fatalf("only %d packages were looked at: is the pattern right?", seen)
	}
}

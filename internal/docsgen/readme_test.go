package main

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/exitcode"
)

func TestTheReadmeTellsEveryExitCodeAsTheProgramMeansIt(t *testing.T) {
	t.Parallel()
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range exitcode.Table() {
		if row := fmt.Sprintf("| %d | %s | %s |\n", e.Code, e.Meaning, e.Advice); !strings.Contains(string(readme), row) {
			t.Errorf("README.md has no row %q", row)
		}
	}
}

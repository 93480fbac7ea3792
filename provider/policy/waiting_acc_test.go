package policy_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/pgbackup/terraform-provider-pgbackup/provider/providertest"
)

func TestAccApproval_isAskedForPointsThatOnlyStayUntilSomethingIsPutRight(t *testing.T) {
	t.Parallel()
	w, dir, r := applied(t)
	providertest.AddDays(t, r, "db.example.org/shop", 0, 29)
	manifests, err := filepath.Glob(filepath.Join(dir, "manifests", "*", "*", "*.json"))
	if err != nil || len(manifests) != 30 {
		t.Fatalf("%q, %v", manifests, err)
	}
	if err := os.WriteFile(slices.Min(manifests), []byte("not a manifest any more"), 0o600); err != nil {
		t.Fatal(err)
	}

	w.Configure(prod(dir, daily(14)))
	refusal := w.Plan()
	code := codePattern.FindString(refusal.String())
	if !refusal.Failed || code == "" {
		t.Fatalf("approved without a code:\n%s", refusal)
	}
	w.Configure(prod(dir, approved(14, code)))
	if out := w.Plan(); out.Failed {
		t.Fatalf("not approved by %s:\n%s", code, out)
	}
	impact, _ := w.Show(address).After["impact"].(map[string]any)
	if impact["points"] != 0.0 || impact["spared"] != 16.0 || impact["waiting"] != 16.0 {
		t.Errorf("the plan shows %v", impact)
	}
	if out := w.Apply(); out.Failed {
		t.Fatalf("apply:\n%s", out)
	}
	revisions := history(t, dir)
	if last := revisions[len(revisions)-1].Envelope; last.Approval != code || last.Loss == nil || last.Loss.Points != 16 {
		t.Errorf("the revision says %s, %s", last.Approval, fmt.Sprint(last.Loss))
	}
}

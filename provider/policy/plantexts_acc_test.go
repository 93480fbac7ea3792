package policy_test

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/location"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/seal"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/secret"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/testenv"
	"github.com/pgbackup/terraform-provider-pgbackup/provider/providertest"
)

var update = flag.Bool("update", false, "write the texts of plans that the documentation shows")

// texts is where the documentation takes the texts of plans from.
const texts = "../../examples/plans"

// The documentation shows what a person reads in a plan. What it shows is what
// the CLI prints: this compares the two, but for dates, numbers and places.
func TestAccPlanTexts_areThoseOfTheDocumentation(t *testing.T) {
	if os.Getenv("PGBACKUP_TF") == "tofu" {
		*update = false // the documentation shows Terraform's
	}
	s3 := testenv.S3WithLifecycle(t)
	as(t, s3)
	const key = "\n  encryption = { key_ref = \"env:BACKUP_KEY\" }"
	t.Setenv("BACKUP_KEY", strings.Repeat("ab", 32))
	t.Setenv("BACKUP_KEY_2027", strings.Repeat("cd", 32))
	config := func(keyRef, lines string) string {
		text := strings.Replace(inBucket(s3, "region = \"us-east-1\"", lines), "prefix = \"pg\"\n  }", "prefix = \"pg\"\n  }"+keyRef, 1)
		return text
	}
	before := "retention  = { keep_daily = 30 }"
	w := providertest.NewWorkspace(t, config(key, before))
	w.MustApply()
	refs := providertest.AddDaysOf(t, openSealed(t, s3), "app@db1", "prod", 0, 34)
	for _, ref := range refs {
		grow(t, filepath.Join(s3.Dir, s3.Bucket, "pg"), ref.ManifestKey(), ref.DataPrefix(), 12<<30)
	}
	for name, lines := range map[string]string{
		"shorten":      "retention  = { keep_daily = 14 }",
		"lengthen":     "retention  = { keep_daily = 60 }",
		"new_rule":     "retention  = { keep_daily = 30, keep_monthly = 12 }",
		"class_change": before + "\n  storage    = { class = \"STANDARD_IA\", transitions = [{ after = \"60d\", class = \"GLACIER\" }] }",
		"key_change":   before,
	} {
		keyRef := key
		if name == "key_change" {
			keyRef = strings.Replace(key, "BACKUP_KEY", "BACKUP_KEY_2027", 1)
		}
		w.Configure(config(keyRef, lines))
		got := presentable(w.PlanText(), s3)
		file := filepath.Join(texts, name+".txt")
		if *update {
			if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatalf("%v: write it with -update", err)
		}
		if a, b := anyDay(got), anyDay(string(want)); a != b {
			t.Errorf("the plan %s reads\n\n%s\nand %s shows another one; look at it, then run this test with -update and `make generate`", name, got, file)
		}
	}
}

// openSealed opens the repository of the test as a runner with its key would.
func openSealed(t *testing.T, s3 *testenv.S3Server) *repo.Repository {
	t.Helper()
	at, err := location.Parse(fmt.Sprintf("s3://%s/pg?endpoint=%s&region=%s", s3.Bucket, s3.Endpoint, s3.Region))
	if err != nil {
		t.Fatal(err)
	}
	store, err := location.Open(t.Context(), at, location.OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	opened, err := repo.Open(t.Context(), store, repo.OpenOptions{Key: func(ctx context.Context, _ []string) (seal.Wrapper, error) {
		return secret.Source{}.Key(ctx, "env:BACKUP_KEY")
	}})
	if err != nil {
		t.Fatal(err)
	}
	return opened
}

// presentable puts what a reader has in place of what this test has.
func presentable(text string, s3 *testenv.S3Server) string {
	text = regexp.MustCompile(`(?m)^.*: (Refreshing state|Reading|Read complete).*\n`).ReplaceAllString(text, "")
	text = regexp.MustCompile(`[?&](endpoint|path_style|region)=[^&"#\]\s)']*`).ReplaceAllString(text, "")
	text = strings.ReplaceAll(text, " (for comparison: the bucket is not AWS's)", "")
	text = strings.ReplaceAll(text, s3.Endpoint, "https://s3.us-east-1.amazonaws.com")
	text = strings.ReplaceAll(text, s3.Bucket, "acme-pg-backups")
	return strings.TrimSpace(text) + "\n"
}

// anyDay is a text without what is another one on another day.
func anyDay(text string) string {
	text = regexp.MustCompile(`(January|February|March|April|May|June|July|August|September|October|November|December)`).ReplaceAllString(text, "MONTH")
	text = regexp.MustCompile(`"[0-9a-f]{64}"`).ReplaceAllString(text, `"DIGEST"`)
	text = regexp.MustCompile(`Z-[a-z0-9]{8}`).ReplaceAllString(text, "Z-ID")
	text = regexp.MustCompile(`EXPIRE-[0-9]+-[0-9a-f]{6}`).ReplaceAllString(text, "CODE")
	text = regexp.MustCompile(`[0-9]+`).ReplaceAllString(text, "N")
	text = strings.NewReplacer(" (current -> planned)", "", "OpenTofu", "Terraform", "tofu", "terraform", "╷", "", "│", "", "╵", "").Replace(text)
	return strings.Join(strings.Fields(text), " ")
}

// grow makes a point as large as a real one without writing so much: its first
// object becomes a sparse file, and its manifest says so.
func grow(t *testing.T, bucket, manifestKey, dataPrefix string, size int64) {
	t.Helper()
	file := filepath.Join(bucket, filepath.FromSlash(manifestKey))
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var stored map[string]json.RawMessage
	if err := json.Unmarshal(data, &stored); err != nil {
		t.Fatal(err)
	}
	var m struct {
		Objects []struct {
			Name string `json:"name"`
			Size int64  `json:"size"`
		} `json:"objects"`
	}
	if err := json.Unmarshal(stored["manifest"], &m); err != nil || len(m.Objects) == 0 {
		t.Fatalf("%s: %v, %d objects", manifestKey, err, len(m.Objects))
	}
	old := fmt.Sprintf(`"size":%d`, m.Objects[0].Size)
	stored["manifest"] = json.RawMessage(strings.Replace(string(stored["manifest"]), old, fmt.Sprintf(`"size":%d`, size), 1))
	sum := sha256.Sum256(stored["manifest"])
	stored["sha256"], _ = json.Marshal(base64.StdEncoding.EncodeToString(sum[:]))
	if data, err = json.Marshal(stored); err == nil {
		err = os.WriteFile(file, data, 0o600)
	}
	if err == nil {
		err = os.Truncate(filepath.Join(bucket, filepath.FromSlash(dataPrefix), m.Objects[0].Name), size)
	}
	if err != nil {
		t.Fatal(err)
	}
}

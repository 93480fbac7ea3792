package pgarchive_test

import (
	"strings"
	"testing"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/postgres/pgarchive"
)

func TestARewrittenTableOfContentsDiffersOnlyInWhatWasEdited(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"pg17.dump", "pg18.dump"} {
		r, err := read(fixture(t, name), 1<<24)
		if err != nil {
			t.Fatal(err)
		}
		before := r.TOC()
		same, err := before.Rewrite(func(*pgarchive.Entry) {})
		if err != nil || same.Raw != before.Raw {
			t.Errorf("%s: rewritten without an edit it is another: %v", name, err)
		}
		long := strings.Repeat("a very long owner ", 100)
		after, err := before.Rewrite(func(e *pgarchive.Entry) {
			if e.Desc == "TABLE" {
				e.Owner, e.Defn = long, "CREATE TABLE other ();\n"
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		edited := 0
		for i := range before.Entries {
			want, got := before.Entries[i], after.Entries[i]
			if want.Desc == "TABLE" {
				edited++
				want.Owner, want.Defn = long, "CREATE TABLE other ();\n"
			}
			if want.String() != got.String() || want.Owner != got.Owner || want.Defn != got.Defn || want.DropStmt != got.DropStmt || want.CopyStmt != got.CopyStmt ||
				want.Tablespace != got.Tablespace || want.TableAM != got.TableAM || want.Relkind != got.Relkind || len(want.Deps) != len(got.Deps) || want.HadDumper != got.HadDumper {
				t.Errorf("%s: entry %s became %s", name, &want, &got)
			}
		}
		if edited == 0 || len(after.Entries) != len(before.Entries) || after.Header != before.Header {
			t.Errorf("%s: %d of %d entries were edited, %d are there", name, edited, len(before.Entries), len(after.Entries))
		}
	}
}

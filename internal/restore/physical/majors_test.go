//go:build majors

package physical_test

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/archive"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/job"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/restore/physical"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/testenv"
)

var majors = flag.String("majors", "", "absolute path of the folder with pg17 and pg18, as ensure-majors.sh makes it")

func programs(t *testing.T, major int) string {
	t.Helper()
	bin := filepath.Join(*majors, "pg"+strconv.Itoa(major), "programs")
	if _, err := os.Stat(filepath.Join(bin, "pg_combinebackup")); err != nil {
		t.Fatalf("-majors names no PostgreSQL %d: run `make majors`, and give the folder (%v)", major, err)
	}
	return bin
}

func TestAChainOfIncrementsOfMajor17And18IsCombined(t *testing.T) {
	for _, major := range []int{17, 18} {
		t.Run(strconv.Itoa(major), func(t *testing.T) { chainOf(t, major) })
	}
}

func chainOf(t *testing.T, major int) {
	p := protect(t, testenv.PostgresOptions{Bin: programs(t, major), Config: map[string]string{"summarize_wal": "on"}})
	space := folder(t)
	p.Exec(t, "postgres", "CREATE TABLESPACE one LOCATION '"+space+"'")
	p.filled(t)
	p.Exec(t, "postgres", "CREATE TABLE over TABLESPACE one AS SELECT i, md5(i::text) t FROM generate_series(1, 100000) i")
	increments := job.Physical{Incremental: &job.Incremental{}}
	full := p.backupOf(t, increments)
	var last mark
	for i := range 2 {
		last = p.mark(t, 1000+i)
		p.Exec(t, "postgres", fmt.Sprintf("UPDATE big SET t = 'changed %d' WHERE i < %d", i, 100*(i+1)), fmt.Sprintf("UPDATE over SET t = 'changed %d' WHERE i < 100", i), "DROP TABLE small_"+strconv.Itoa(i+1))
		m := p.backupOf(t, increments)
		if m.Parent == "" || m.Totals.Bytes > full.Totals.Bytes/4*3 {
			t.Fatalf("parent %q: it is no increment: %+v, of %+v", m.Parent, m.Totals, full.Totals)
		}
	}
	after := p.mark(t, 2000)
	p.mark(t, 2001)
	p.switched(t)

	o := p.options(t, filepath.Join(folder(t), "data"))
	o.TablespaceDir = filepath.Join(folder(t), "spaces")
	o.Target = archive.Target{Time: after.at, Inclusive: true}
	result := p.run(t, o)
	if len(result.Chain) != 3 || result.Chain[0] != full.Ref() || result.Files == 0 || result.Bytes < full.Totals.Bytes/2 {
		t.Errorf("%+v", result)
	}
	p.verified(t, o.Directory)
	for name, mode := range tree(t, o.Directory) {
		if strings.HasPrefix(name, "pgbackup_restore") || !strings.Contains(name, "pg_tblspc/") && !strings.HasPrefix(mode, "-rw-------") && !strings.HasPrefix(mode, "drwx------") {
			t.Errorf("%s has mode %s", name, mode)
		}
	}
	// Once more over it, and this time it is started. Its pg_wal is on another disk now,
	// and stays there.
	log, wal := filepath.Join(folder(t), "wal"), filepath.Join(o.Directory, "pg_wal")
	if out, err := exec.Command("mv", wal, log).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if err := errors.Join(os.Symlink(log, wal), os.WriteFile(filepath.Join(log, "000000090000000000000009"), nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	o.Delta, o.Start = true, true
	begun := time.Now()
	p.run(t, o)
	t.Logf("combined, recovered and started in %s", time.Since(begun))
	if to, err := os.Readlink(wal); err != nil || to != log {
		t.Errorf("pg_wal leads to %q: %v", to, err)
	}
	if _, err := os.Stat(filepath.Join(log, "000000090000000000000009")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("what the directory had in its log is there still: %v", err)
	}
	if got := p.rows(t, o); !strings.HasSuffix(got, fmt.Sprintf(" %d 2000", last.id)) {
		t.Error(got)
	}
	var big, over int
	p.askRestored(t, o, "SELECT count(*) FROM big WHERE t = 'changed 1'", &big)
	p.askRestored(t, o, "SELECT count(*) FROM over WHERE t = 'changed 1'", &over)
	if big != 199 || over != 99 {
		t.Errorf("%d and %d rows", big, over)
	}
	// A base backup in the middle of the chain is a target of its own.
	o = p.options(t, filepath.Join(folder(t), "data"))
	o.TablespaceDir, o.Point, o.Target = filepath.Join(folder(t), "spaces"), full.ID, archive.Target{Immediate: true, Inclusive: true}
	if result := p.run(t, o); len(result.Chain) != 1 {
		t.Errorf("%+v", result)
	}
	o.Jobs = 0
	if _, err := physical.Examine(t.Context(), o); err == nil {
		t.Error("it is not empty any more")
	}
}

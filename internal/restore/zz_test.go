package restore_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/backup"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore/dir"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/postgres"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/restore"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/testenv"
)

func TestMain(m *testing.M) {
	if os.Getenv("ZZ_T") == "" {
		os.Exit(m.Run())
	}
	ctx := context.Background()
	store, _ := dir.Open(os.Getenv("ZZ_D"))
	r, err := repo.Open(ctx, store, repo.OpenOptions{})
	to, _ := postgres.ParseTarget(os.Getenv("ZZ_T"))
	if os.Getenv("ZZ_V") == "backup" {
		var res backup.Result
		res, err = backup.Run(ctx, backup.Options{Repo: r, Target: to, Source: "app", Globals: true, Self: repo.Self()})
		if err == nil {
			fmt.Println(res.Manifest.Durations, res.Manifest.Totals)
		}
	} else {
		p, _ := r.Find(ctx, "latest", repo.Filter{})
		var res restore.Result
		res, err = restore.Run(ctx, restore.Options{Repo: r, Ref: p.Ref, Target: to})
		fmt.Println(res.Durations)
	}
	if err != nil {
		fmt.Println(err)
	}
	b, _ := os.ReadFile("/proc/self/status")
	for _, l := range strings.Split(string(b), "\n") {
		if strings.HasPrefix(l, "VmHWM") {
			fmt.Println(os.Getenv("ZZ_V"), l)
		}
	}
}

func TestZZMemory(t *testing.T) {
	pg := testenv.Postgres(t)
	pg.CreateDatabase(t, "app")
	pg.Exec(t, "app", "CREATE TABLE big (id int PRIMARY KEY, filler text)", "INSERT INTO big SELECT i, (SELECT string_agg(md5(i::text || j), '') FROM generate_series(1, 8) j)||repeat('word ',100) FROM generate_series(1, 400000) i")
	pg.CreateDatabase(t, "huge")
	pg.Exec(t, "huge", "CREATE TABLE huge (id int, b bytea)", "INSERT INTO huge SELECT i, decode(repeat(md5(i::text), 4000000), 'hex') FROM generate_series(1, 2) i")
	for _, db := range []string{"app", "huge"} {
		d := t.TempDir()
		store, _ := dir.Open(d)
		if _, err := repo.Create(context.Background(), store, repo.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
		for _, v := range []string{"backup", "restore"} {
			self, _ := os.Executable()
			cmd := exec.Command(self)
			url := pg.URL(db)
			if v == "restore" {
				url = pg.URL(db + "2")
			}
			cmd.Env = append(os.Environ(), "ZZ_T="+url, "ZZ_D="+d, "ZZ_V="+v)
			out, err := cmd.CombinedOutput()
			t.Log(db, string(out), err)
		}
	}
}

package waltest

import (
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/testenv"
)

// Segments is how many finished ones Made has.
const Segments = 12

var made struct {
	sync.Mutex
	files  map[string][]byte
	system string
}

// Made are the finished segments of a real server, of 1 MiB each, as files of its data
// directory, with its global/pg_control; and its system identifier. They are made once
// in a run of tests, and belong to all of them.
func Made(t *testing.T) (files map[string][]byte, system string) {
	t.Helper()
	made.Lock()
	defer made.Unlock()
	if made.files != nil {
		return made.files, made.system
	}
	pg := testenv.Postgres(t, testenv.PostgresOptions{Config: map[string]string{"wal_keep_size": "'512MB'"}})
	SmallSegments(t, pg)
	files = map[string][]byte{}
	read := func(name string) {
		data, err := os.ReadFile(filepath.Join(pg.DataDir, name))
		if err != nil {
			t.Fatal(err)
		}
		files[name] = data
	}
	pg.Exec(t, "postgres", "CREATE TABLE t (x text)")
	for range Segments {
		pg.Exec(t, "postgres", "INSERT INTO t SELECT md5(n::text) FROM generate_series(1, 2000) n")
		read("pg_wal/" + Switch(t, pg))
	}
	read("global/pg_control")
	made.files, made.system = files, System(t, pg)
	return made.files, made.system
}

//go:build bench

package bench

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// rival is pgBackRest, set up for the same server and the same store: encrypted, zstd,
// small files bundled, as its manual recommends.
type rival struct {
	program string
	config  string // file
	dir     string
}

func newRival(t *testing.T, b *bench, ca string) *rival {
	t.Helper()
	program, err := filepath.Abs("../../.tools/pgbackrest/pgbackrest")
	if err == nil {
		_, err = os.Stat(program)
	}
	if err != nil {
		t.Fatalf("pgBackRest is missing (%v): `make bench` unpacks it; by hand: sh internal/testenv/ensure-pgbackrest.sh .tools", err)
	}
	r := &rival{program: program, dir: filepath.Join(b.dir, "rival")}
	r.config = filepath.Join(r.dir, "pgbackrest.conf")
	for _, d := range []string{"log", "lock", "spool"} {
		d = filepath.Join(r.dir, d)
		if err := errors.Join(os.MkdirAll(d, 0o777), os.Chmod(d, 0o777)); err != nil { // the server's user writes there too
			t.Fatal(err)
		}
	}
	host, port, _ := strings.Cut(strings.TrimPrefix(b.s3.Endpoint, "https://"), ":")
	text := fmt.Sprintf(`[global]
repo1-type=s3
repo1-path=/rival
repo1-s3-bucket=%s
repo1-s3-endpoint=%s
repo1-s3-region=%s
repo1-s3-key=%s
repo1-s3-key-secret=%s
repo1-s3-uri-style=path
repo1-storage-port=%s
repo1-storage-ca-file=%s
repo1-cipher-type=aes-256-cbc
repo1-cipher-pass=bench
repo1-bundle=y
repo1-retention-full=9999
compress-type=zst
start-fast=y
log-level-console=off
log-level-stderr=error
log-level-file=off
log-path=%[8]s/log
lock-path=%[8]s/lock
spool-path=%[8]s/spool

[bench]
pg1-path=%[9]s
pg1-port=%[10]d
pg1-socket-path=%[11]s
pg1-user=%[12]s
pg1-database=postgres
`, b.s3.Bucket, host, b.s3.Region, b.s3.AccessKey, b.s3.SecretKey, port, ca, r.dir, b.pg.DataDir, b.pg.Port, b.pg.SocketDir, b.pg.User)
	if err := os.WriteFile(r.config, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return r
}

// line is a command of pgBackRest as sh reads it.
func (r *rival) line(command string, options ...string) string {
	return fmt.Sprintf("'%s' --config='%s' --stanza=bench %s %s", r.program, r.config, command, strings.Join(options, " "))
}

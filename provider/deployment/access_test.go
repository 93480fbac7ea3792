package deployment

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// nobody is in the tests a user who owns nothing.
var nobody = account{name: "postgres", uid: "4294967294", groups: []string{"4294967294"}}

func TestADirectoryOfSomebodyElseIsNamedWithTheCommandThatHelps(t *testing.T) {
	t.Parallel()
	top, err := os.MkdirTemp("", "access") // below a folder that everybody may enter
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(top) })
	if err := os.Chmod(top, 0o755); err != nil { //nolint:gosec // as /var/backups is
		t.Fatal(err)
	}
	repository := filepath.Join(top, "pg")
	if o := nobody.repository(repository, "prod"); o != nil {
		t.Errorf("what is not there is in the way: %+v", o)
	}
	policies := filepath.Join(repository, "policies", "prod")
	if err := os.MkdirAll(policies, 0o700); err != nil {
		t.Fatal(err)
	}
	o := nobody.repository(repository, "prod")
	if o == nil || o.path != repository || o.fix != "chown -R postgres: "+repository {
		t.Fatalf("%+v", o)
	}
	key := filepath.Join(top, "key")
	if err := os.WriteFile(key, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if o := nobody.file(key); o == nil || o.fix != "chown postgres: "+key {
		t.Errorf("%+v", o)
	}
	if o := nobody.file(filepath.Join(repository, "key")); o == nil || !strings.HasPrefix(o.fix, "chmod o+x ") {
		t.Errorf("a closed folder above: %+v", o)
	}
	st, err := os.Stat(repository)
	if err != nil {
		t.Fatal(err)
	}
	uid, gid, _ := owner(st)
	if o := (account{name: "me", uid: uid, groups: []string{gid}}).repository(repository, "prod"); o != nil {
		t.Errorf("the owner: %+v", o)
	}
}

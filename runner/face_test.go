package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/backup/physical"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/exitcode"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/job"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/postgres"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/seal"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/verify"
)

// The names in `list --json` are relied on by others: adding is fine, changing is not.
func TestTheListingForOthersHasExactlyTheAgreedFields(t *testing.T) {
	start := time.Date(2026, 3, 1, 2, 0, 0, 0, time.UTC)
	ref := repo.Ref{Source: "shop", Kind: "logical", ID: "20260301T020000Z-abcdefgh"}
	points := []repo.Listed{
		{Ref: ref, Start: start, Held: true, Manifest: &repo.Manifest{Start: start, End: start.Add(time.Minute), Objects: []repo.Object{{Size: 5}, {Size: 7}}}},
		{Ref: ref, Start: start, Problem: errors.New("damaged:\nbadly")},
	}
	var out bytes.Buffer
	if err := (&app{streams: streams{out: &out}}).printJSON(listing(points)); err != nil {
		t.Fatal(err)
	}
	const want = `{
  "points": [
    {
      "id": "20260301T020000Z-abcdefgh",
      "source": "shop",
      "kind": "logical",
      "start": "2026-03-01T02:00:00Z",
      "end": "2026-03-01T02:01:00Z",
      "bytes": 12,
      "verified": true,
      "held": true,
      "tier": null
    },
    {
      "id": "20260301T020000Z-abcdefgh",
      "source": "shop",
      "kind": "logical",
      "start": "2026-03-01T02:00:00Z",
      "end": null,
      "bytes": 0,
      "verified": false,
      "held": false,
      "tier": null,
      "problem": "damaged:; badly"
    }
  ]
}
`
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Error(diff)
	}
}

func TestAReportForOthersHasTheAgreedFields(t *testing.T) {
	data, err := json.Marshal(verify.Report{Checked: 2, Bad: []verify.Bad{}})
	if err != nil || string(data) != `{"checked":2,"bad":[],"bytes":0}` {
		t.Errorf("%s, %v", data, err)
	}
}

func TestErrorsHaveTheExitCodeOfWhatTheyAre(t *testing.T) {
	for _, c := range []struct {
		err  error
		want exitcode.Code
	}{
		{nil, exitcode.Done},
		{errors.New("anything"), exitcode.Failed},
		{errWarned, exitcode.Warnings},
		{errTold, exitcode.Failed},
		{usagef("wrong"), exitcode.Usage},
		{fmt.Errorf("x: %w", repo.ErrNotFound), exitcode.NotFound},
		{fmt.Errorf("x: %w", repo.ErrNoRepository), exitcode.NotFound},
		{fmt.Errorf("x: %w", objstore.ErrNoBucket), exitcode.NotFound},
		{&repo.LockedError{Source: "a"}, exitcode.Locked},
		{errors.Join(errors.New("a"), &repo.LockedError{Source: "a"}), exitcode.Locked},
		{fmt.Errorf("x: %w", seal.ErrWrongKey), exitcode.Usage},
		{fmt.Errorf("x: %w", postgres.ErrNoReplication), exitcode.Usage},
		{fmt.Errorf("x: %w", physical.ErrOtherName), exitcode.Usage},
		{fmt.Errorf("x: %w", repo.ErrDamaged), exitcode.Failed},
		{reading(fmt.Errorf("x: %w", repo.ErrDamaged)), exitcode.BadBackup},
		{reading(fmt.Errorf("x: %w", repo.ErrNotFound)), exitcode.NotFound},
		{reading(usage(fmt.Errorf("x: %w", repo.ErrDamaged))), exitcode.Usage},
		{verify.Report{Bad: []verify.Bad{{}}}.Err(), exitcode.BadBackup},
		{verify.Report{Unchecked: []verify.Unchecked{{Err: objstore.ErrDenied}}}.Err(), exitcode.Failed},
	} {
		if got := codeOf(c.err); got != c.want {
			t.Errorf("%v: %v, want %v", c.err, got, c.want)
		}
	}
}

func TestOnlyABrokenPipeOfOurOwnOutputIsSilent(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	_, err = output{w}.Write([]byte("x"))
	if line := errorLine(t.Context(), err); err == nil || line != "" {
		t.Errorf("our output: %v told as %q", err, line)
	}
	if line := errorLine(t.Context(), fmt.Errorf("send to the store: %w", syscall.EPIPE)); line == "" {
		t.Error("the store's broken pipe is not told")
	}
}

func TestNumbersAreWrittenForPeople(t *testing.T) {
	for _, c := range []struct{ got, want string }{
		{size(1536 << 20), "1.5 GiB"},
		{count(0), "0"}, {count(999), "999"}, {count(1000), "1,000"}, {count(1234567), "1,234,567"}, {count(-1000), "-1,000"}, {count(-100), "-100"},
		{age(-time.Second), "in the future"}, {age(30 * time.Second), "30s"}, {age(90 * time.Minute), "1h30m"}, {age(47 * time.Hour), "47h00m"}, {age(72 * time.Hour), "3d"},
		{took(1500 * time.Millisecond), "1.5s"}, {took(192400 * time.Millisecond), "3m12s"},
		{stamp(time.Time{}), "-"}, {oneLine("a\n\n b "), "a; b"},
	} {
		if c.got != c.want {
			t.Errorf("got %q, want %q", c.got, c.want)
		}
	}
}

func TestAPasswordInAConnectionStringIsNoticed(t *testing.T) {
	for conninfo, want := range map[string]bool{
		"postgres://user@host/db": false, "postgres://user:secret@host/db": true, "postgres://host/db?password=secret": true,
		"postgres:///db": false, "host=h user=u": false, "host=h password=secret": true, "host=h password = secret": true,
	} {
		if got := hasPassword(conninfo); got != want {
			t.Errorf("%s: %v", conninfo, got)
		}
	}
}

func TestASourceIsNamedAfterItsHost(t *testing.T) {
	here, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	for want, target := range map[string]postgres.Target{
		"db.example.org":      {Host: "db.example.org", Port: 5432},
		"db.example.org-6000": {Host: "db.example.org", Port: 6000},
		here:                  {Host: "/var/run/postgresql", Port: 5432},
	} {
		if got := hostName(target); got != want {
			t.Errorf("%+v: %q, want %q", target, got, want)
		}
	}
}

func TestAJobsServerBecomesAConnectionStringThatIsReadBackAsItWas(t *testing.T) {
	t.Setenv("PGUSER", "")
	s := job.Server{Host: "db.example.org", Port: 6000, User: `o'neill \ co`, SSLMode: "disable"}
	target, err := postgres.ParseTarget(conninfo(s))
	if err != nil {
		t.Fatal(err)
	}
	if target.Host != s.Host || int(target.Port) != s.Port || target.User != s.User || target.Database != "postgres" {
		t.Errorf("%s became %+v", conninfo(s), target)
	}
}

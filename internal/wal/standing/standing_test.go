package standing_test

import (
	"strings"
	"testing"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/archive"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/job"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/pgwal"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/testenv"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/wal/standing"
)

var now = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

const size = 16 << 20

// survey is an archive up to 0/5000000 whose last commit is ten minutes old, with a
// base backup.
func survey() *archive.Survey {
	w := archive.Window{Timeline: 1, From: now.Add(-time.Hour), To: now.Add(-10 * time.Minute), FromLSN: size, ToLSN: 5*size - 100}
	return &archive.Survey{Archive: repo.WALArchive{Source: "db1", System: "42"}, SegmentSize: size, Current: 1, Newest: 5*size - 100,
		NewestCommit: now.Add(-10 * time.Minute), NewestStored: now.Add(-9 * time.Minute), Bases: []archive.Base{{Windows: []archive.Window{w}}}}
}

func TestTheLagIsTheAgeOfTheNewestCommitUnlessTheServerHasNothingNewer(t *testing.T) {
	t.Parallel()
	server := func(at pgwal.LSN, timeout time.Duration) *standing.Server {
		return &standing.Server{System: "42", At: at, Archiver: standing.Archiver{Mode: "on", Timeout: timeout}}
	}
	for name, c := range map[string]struct {
		server *standing.Server
		want   time.Duration
	}{
		"no server":                           {nil, 10 * time.Minute},
		"all is archived":                     {server(5*size-100, 0), 0},
		"all but the open segment":            {server(5*size+5000, time.Minute), time.Minute},
		"it may stay open for ever":           {server(5*size+5000, 0), 10 * time.Minute},
		"a finished segment is waiting":       {server(6*size+5000, time.Minute), 10 * time.Minute},
		"at the very end of the open one":     {server(6*size, time.Minute), time.Minute},
		"the server is another":               {&standing.Server{System: "43", At: size}, 10 * time.Minute},
		"archive_timeout is longer than that": {server(5*size+5000, time.Hour), 10 * time.Minute},
	} {
		v := standing.Judge(standing.Input{Survey: survey(), Server: c.server, Now: now})
		if v.Lag == nil || *v.Lag != c.want {
			t.Errorf("%s: %v, want %s", name, v.Lag, c.want)
		}
	}
	ahead := survey() // the server's clock is, and nothing is archived since
	ahead.NewestCommit = now.Add(time.Hour)
	if v := standing.Judge(standing.Input{Survey: ahead, Now: now}); v.Lag == nil || *v.Lag != 9*time.Minute {
		t.Errorf("of a server whose clock is ahead: %v", v.Lag)
	}
	idle := survey()
	idle.NewestCommit = time.Time{}
	if v := standing.Judge(standing.Input{Survey: idle, Now: now}); v.Lag == nil || *v.Lag != 9*time.Minute {
		t.Errorf("without a commit: %v", v.Lag)
	}
	if v := standing.Judge(standing.Input{Survey: &archive.Survey{}, Now: now}); v.Lag != nil || len(v.Warnings) == 0 {
		t.Errorf("of an empty archive: %+v", v)
	}
}

// promotedCopy is an archive in which a copy made timeline 2, and timeline 1 was stored to
// last at a time.
func promotedCopy(stored time.Time) *archive.Survey {
	s := survey()
	s.Current = 2
	s.Bases[0].Windows[0].Timeline = 2
	s.Timelines = []archive.Timeline{{ID: 1, Ranges: []archive.Range{{Timeline: 1, LastStored: stored}}}, {ID: 2, History: &pgwal.History{Timeline: 2}, Ranges: []archive.Range{{Timeline: 2, LastStored: s.NewestStored}}}}
	return s
}

// A promoted copy may be farther on its timeline than the server on its own.
func TestThePositionOnAnotherTimelineSaysNothingOfTheLag(t *testing.T) {
	t.Parallel()
	v := standing.Judge(standing.Input{Survey: promotedCopy(now.Add(-9 * time.Minute)), Now: now, Server: &standing.Server{System: "42", Timeline: 1, At: 3 * size}})
	if v.Lag == nil || *v.Lag != 10*time.Minute {
		t.Errorf("%v", v.Lag)
	}
	// What an old primary archives late is no second server.
	if v := standing.Judge(standing.Input{Survey: promotedCopy(now.Add(-8 * time.Minute)), Now: now, Server: &standing.Server{System: "42", Timeline: 2, At: 5*size - 100}}); len(v.Warnings) > 0 || *v.Lag != 0 {
		t.Errorf("%+v", v)
	}
}

func TestWhatIsNotAsItShouldBeIsSaid(t *testing.T) {
	t.Parallel()
	failing := standing.Archiver{Mode: "on", LastArchivedAt: now.Add(-time.Hour), LastFailed: "000000010000000000000005", LastFailedAt: now, Failed: 7}
	recovered := failing
	recovered.LastArchivedAt = now.Add(time.Second)
	gap := survey()
	gap.Bases[0].Windows[0].Gap = &archive.Gap{Timeline: 1, From: 2 * size, To: 3 * size}
	lost := promotedCopy(now.Add(-9 * time.Minute))
	lost.Timelines[1].History = nil
	of := func(slots ...standing.Slot) *standing.Server {
		return &standing.Server{System: "42", At: 5 * size, Slots: slots, Archiver: standing.Archiver{Mode: "on"}}
	}
	for want, in := range map[string]standing.Input{
		"":                                       {Survey: survey(), Server: of(standing.Slot{Name: "other", Behind: 1}), MaxLag: time.Hour},
		"more than 5m0s":                         {Survey: survey(), MaxLag: 5 * time.Minute},
		"there is no base backup":                {Survey: &archive.Survey{NewestStored: now}},
		"no base backup leads to":                {Survey: gap},
		"failed with 000000010000000000000005":   {Survey: survey(), Server: &standing.Server{System: "42", Archiver: failing}},
		"archive_mode of the server is off":      {Survey: survey(), Mode: job.WALPush, Server: &standing.Server{System: "42", Archiver: standing.Archiver{Mode: "off"}}},
		"gave up WAL":                            {Survey: survey(), Server: of(standing.Slot{Name: "s", State: "lost"})},
		"is about to give up":                    {Survey: survey(), Server: of(standing.Slot{Name: "s", State: "unreserved"})},
		"nobody receives":                        {Survey: survey(), Mode: job.WALReceive, Slot: "s", Server: of(standing.Slot{Name: "s"})},
		"is not there":                           {Survey: survey(), Mode: job.WALReceive, Slot: "s", Server: of(standing.Slot{Name: "t", Active: true})},
		"timeline 00000001 goes on":              {Survey: promotedCopy(now.Add(-9 * time.Minute)), Server: &standing.Server{System: "42", Timeline: 1, At: 4 * size, Archiver: standing.Archiver{Mode: "on"}}},
		"archived beside timeline 00000002":      {Survey: promotedCopy(now.Add(-time.Minute))},
		"00000002.history is not in the archive": {Survey: lost},
		"its disk may fill up":                   {Survey: survey(), SlotLimit: 100, Server: of(standing.Slot{Name: "s", Active: true, Behind: 200})},
	} {
		in.Now = now
		v := standing.Judge(in)
		text := strings.Join(v.Warnings, "\n")
		if (want == "") != (len(v.Warnings) == 0) || !strings.Contains(text, want) {
			t.Errorf("want %q, it is %q", want, text)
		}
	}
	if v := standing.Judge(standing.Input{Survey: gap, Now: now}); len(v.Gaps) != 1 {
		t.Errorf("%+v", v.Gaps)
	}
	// What is stored at this moment may have overtaken what is before it.
	gap.Bases[0].Windows[0].Gap.Stored = now.Add(-time.Minute)
	if v := standing.Judge(standing.Input{Survey: gap, Now: now}); len(v.Gaps) != 0 || len(v.Warnings) > 0 {
		t.Errorf("%+v", v)
	}
	if v := standing.Judge(standing.Input{Survey: survey(), Now: now, Server: &standing.Server{System: "42", Archiver: recovered}}); len(v.Warnings) > 0 {
		t.Errorf("of an archiver that works again: %q", v.Warnings)
	}
	if v := standing.Judge(standing.Input{Survey: survey(), Now: now, Mode: job.WALReceive, Server: &standing.Server{System: "42", Archiver: failing}}); len(v.Warnings) > 0 {
		t.Errorf("the archiver is not asked for where a receiver does the work: %q", v.Warnings)
	}
}

// A gap that a newer base backup lies behind needs no further one.
func TestBehindAGapRecoveryBeginsAgainWithTheOldestBaseBackupThere(t *testing.T) {
	t.Parallel()
	base := func(id string, from time.Duration, gap *archive.Gap) archive.Base {
		return archive.Base{Ref: repo.Ref{ID: id}, Windows: []archive.Window{{Timeline: 1, From: now.Add(-from), Gap: gap}}}
	}
	missing := &archive.Gap{Timeline: 1, From: 2 * size, To: 3 * size}
	s := survey()
	s.Bases = []archive.Base{base("third", time.Hour, nil), base("second", 2*time.Hour, nil), base("first", 3*time.Hour, missing)}
	v := standing.Judge(standing.Input{Survey: s, Now: now})
	if len(v.Gaps) != 1 || len(v.Warnings) > 0 || v.Again == nil || v.Again.Base != "second" || !v.Again.From.Equal(now.Add(-2*time.Hour)) {
		t.Errorf("%+v", v)
	}
	s.Bases = s.Bases[2:]
	if v := standing.Judge(standing.Input{Survey: s, Now: now}); v.Again != nil || len(v.Warnings) != 1 {
		t.Errorf("no base backup is behind it: %+v", v)
	}
}

func TestAnyRoleMayAskTheServer(t *testing.T) {
	t.Parallel()
	p := testenv.Postgres(t, testenv.PostgresOptions{Config: map[string]string{"archive_timeout": "5min"}})
	p.Exec(t, "postgres", "SELECT pg_create_physical_replication_slot('pgbackup_a', true)", "CREATE ROLE plain")
	conn := p.Connect(t, "postgres")
	if _, err := conn.Exec(t.Context(), "SET ROLE plain"); err != nil {
		t.Fatal(err)
	}
	s, err := standing.ReadServer(t.Context(), conn)
	if err != nil || s.At == 0 || s.System == "" || s.Recovery || s.Timeline != 1 || s.Archiver.Mode != "off" || s.Archiver.Timeout != 5*time.Minute {
		t.Fatalf("%+v %v", s, err)
	}
	if len(s.Slots) != 1 || s.Slots[0].Name != "pgbackup_a" || s.Slots[0].Active || s.Slots[0].State != "reserved" {
		t.Errorf("%+v", s.Slots)
	}
}

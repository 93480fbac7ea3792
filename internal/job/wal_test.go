package job_test

import (
	"strings"
	"testing"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/duration"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/job"
)

func TestJobsOfBaseBackupsAndWALSurviveTheirFiles(t *testing.T) {
	t.Parallel()
	for name, j := range map[string]job.Job{
		"physical": {Kind: job.KindPhysical, Physical: &job.Physical{
			Server: job.Server{Host: "db1"}, Checkpoint: job.CheckpointSpread, MaxRate: 1 << 20, Compression: "zstd",
			Incremental: &job.Incremental{FullEvery: duration.MustParse("7d")}, WALTimeout: duration.MustParse("30m"),
		}},
		"push": {Kind: job.KindWAL, WAL: &job.WAL{Mode: job.WALPush, DataDirectory: "/var/lib/postgresql/15/main", Ahead: 128, Jobs: 4, Spool: "/var/spool/pgbackup"}},
		"receive": {Kind: job.KindWAL, WAL: &job.WAL{
			Mode: job.WALReceive, Server: job.Server{Host: "db1"}, Slot: "pgbackup", Every: duration.MustParse("3s"), Confirm: job.ConfirmSpooled,
			SlotLimit: 1 << 30, SpoolLimit: 1 << 30, Heartbeat: &job.Heartbeat{Database: "app", Every: duration.MustParse("5s")},
		}},
	} {
		j.Format, j.Name, j.Repository = job.Format, "n", "file:///b"
		data, err := j.Encode()
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if back, err := job.Parse(data); err != nil || back.Digest() != j.Digest() {
			t.Errorf("%s: %v\n%s", name, err, data)
		}
	}
}

func TestBaseBackupsAndWALThatCouldNotWorkAreRefusedNamingTheField(t *testing.T) {
	t.Parallel()
	for want, j := range map[string]job.Job{
		"job.physical.checkpoint":               {Kind: job.KindPhysical, Physical: &job.Physical{Checkpoint: "quick"}},
		"job.physical.max_rate":                 {Kind: job.KindPhysical, Physical: &job.Physical{MaxRate: 5}},
		`did you mean "zstd"`:                   {Kind: job.KindPhysical, Physical: &job.Physical{Compression: "zst"}},
		"job.physical.incremental.full_every":   {Kind: job.KindPhysical, Physical: &job.Physical{Incremental: &job.Incremental{FullEvery: duration.MustParse("1mo")}}},
		"job.physical: is missing":              {Kind: job.KindPhysical},
		"job.wal.mode":                          {Kind: job.KindWAL, WAL: &job.WAL{}},
		"job.wal.slot: has a meaning with mode": {Kind: job.KindWAL, WAL: &job.WAL{Mode: job.WALPush, Slot: "a"}},
		"job.wal.ahead: has a meaning":          {Kind: job.KindWAL, WAL: &job.WAL{Mode: job.WALReceive, Ahead: 3}},
		"job.wal.slot: \"A-b\"":                 {Kind: job.KindWAL, WAL: &job.WAL{Mode: job.WALReceive, Slot: "A-b"}},
		"job.wal.every":                         {Kind: job.KindWAL, WAL: &job.WAL{Mode: job.WALReceive, Every: duration.MustParse("2h")}},
		"job.wal.heartbeat.every":               {Kind: job.KindWAL, WAL: &job.WAL{Mode: job.WALReceive, Heartbeat: &job.Heartbeat{Every: duration.MustParse("2d")}}},
		"job.wal.confirm":                       {Kind: job.KindWAL, WAL: &job.WAL{Mode: job.WALReceive, Confirm: "yes"}},
		"job.wal.data_directory":                {Kind: job.KindWAL, WAL: &job.WAL{Mode: job.WALPush, DataDirectory: "data"}},
		"job.wal: has no meaning":               {Kind: job.KindLogical, Logical: &job.Logical{}, WAL: &job.WAL{Mode: job.WALPush}},
	} {
		j.Format, j.Name, j.Repository = job.Format, "n", "file:///b"
		if err := j.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want %q, got %v", want, err)
		}
	}
}

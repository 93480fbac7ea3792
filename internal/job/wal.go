package job

import (
	"errors"
	"fmt"
	"regexp"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/duration"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/secretref"
)

// Ways of a checkpoint, which a base backup begins with.
const (
	CheckpointFast   = "fast"   // at once: the backup begins soon, the disk is busy for a moment
	CheckpointSpread = "spread" // as slowly as the server's own checkpoints
)

// Physical says which server a base backup is taken of, over the replication
// protocol. The role needs REPLICATION.
type Physical struct {
	Server Server `json:"server,omitzero"`
	// DatabaseURLRef refers to a libpq URI, instead of Server.
	DatabaseURLRef secretref.Ref `json:"database_url_ref,omitzero"`
	Checkpoint     string        `json:"checkpoint,omitempty"` // fast (the default) or spread
	MaxRate        int64         `json:"max_rate,omitempty"`   // that the server sends with, bytes a second; 0 is no limit
	// Compression is how the server compresses what it sends: zstd, lz4 or gzip, for a
	// network that is the limit; "" is not at all. What is stored is the same.
	Compression string       `json:"compression,omitempty"`
	Incremental *Incremental `json:"incremental,omitempty"` // PostgreSQL 17 and newer with summarize_wal
	// WALTimeout is how long to wait until the WAL that the backup needs is in the
	// repository; the default is DefaultWALTimeout.
	WALTimeout duration.Duration `json:"wal_timeout,omitzero"`
}

// Incremental takes base backups that hold what changed since the one before, and a
// full one when the last full one is older than FullEvery.
type Incremental struct {
	FullEvery duration.Duration `json:"full_every,omitzero"` // "" is 7d
}

// DefaultWALTimeout and DefaultFullEvery of a base backup.
const (
	DefaultWALTimeout = 10 * time.Minute
	DefaultFullEvery  = 7 * 24 * time.Hour
)

// Modes of WAL.
const (
	WALPush    = "push"    // archive_command of the server calls the runner
	WALReceive = "receive" // the runner streams from the server
)

// What a receiver confirms to the server, which then may remove it.
const (
	ConfirmStored  = "stored"  // what is in the repository
	ConfirmSpooled = "spooled" // what is on the receiver's own disk
)

// WAL says how the log of a server comes into the repository.
type WAL struct {
	Mode string `json:"mode"` // push or receive
	// Server is who is streamed from; a push asks it for its archiver's statistics only.
	Server         Server        `json:"server,omitzero"`
	DatabaseURLRef secretref.Ref `json:"database_url_ref,omitzero"`

	// of push
	DataDirectory string `json:"data_directory,omitempty"` // absolute; "" is the folder that archive_command runs in
	Ahead         int    `json:"ahead,omitempty"`          // finished segments that one call also takes along; 0 is DefaultAhead
	Jobs          int    `json:"jobs,omitempty"`           // stored at once; 0 is 2

	// of receive
	Slot       string            `json:"slot,omitempty"`        // "" is made of the source's name
	Every      duration.Duration `json:"every,omitzero"`        // how often the unfinished segment is stored; "" is DefaultWALEvery
	Confirm    string            `json:"confirm,omitempty"`     // stored (the default) or spooled
	SlotLimit  int64             `json:"slot_limit,omitempty"`  // bytes that the server may keep for the slot before it is a warning; 0 is DefaultSlotLimit
	SpoolLimit int64             `json:"spool_limit,omitempty"` // bytes; 0 is DefaultSpoolLimit
	Heartbeat  *Heartbeat        `json:"heartbeat,omitempty"`   // nil is none

	// Spool is a directory of this machine: of what was received and is not stored yet,
	// and of what a push took along. "" is below the system's for such things.
	Spool string `json:"spool,omitempty"`
}

// Heartbeat is a row that the receiver writes again and again, so that a recovered
// server tells by itself which moment it was brought to. The role needs the rights
// to make the table pgbackup.heartbeat, or that table.
type Heartbeat struct {
	Database string            `json:"database,omitempty"` // "" is postgres
	Every    duration.Duration `json:"every,omitzero"`     // "" is 10s
}

// Defaults of WAL.
const (
	DefaultAhead      = 64
	DefaultWALEvery   = 3 * time.Second
	DefaultHeartbeat  = 10 * time.Second
	DefaultSpoolLimit = 1 << 30
	DefaultSlotLimit  = 4 << 30
)

var slotPattern = regexp.MustCompile(`^[a-z0-9_]{1,63}$`)

func (p Physical) validate(at func(string, error)) {
	checkURLRef(at, p.DatabaseURLRef, p.Server != (Server{}))
	p.Server.validate(func(field string, err error) { at("server."+field, err) })
	if p.Checkpoint != "" {
		at("checkpoint", oneOf(p.Checkpoint, []string{CheckpointFast, CheckpointSpread}))
	}
	if p.MaxRate != 0 && (p.MaxRate < 32<<10 || p.MaxRate > 1<<30) {
		at("max_rate", fmt.Errorf("is %d: a server takes from 32768 to 1073741824 bytes a second", p.MaxRate))
	}
	if p.Compression != "" {
		at("compression", oneOf(p.Compression, []string{"gzip", "lz4", "zstd"}))
	}
	checkExact(at, "wal_timeout", p.WALTimeout)
	if p.Incremental != nil {
		checkExact(at, "incremental.full_every", p.Incremental.FullEvery)
	}
}

func (w WAL) validate(at func(string, error)) {
	at("mode", oneOf(w.Mode, []string{WALPush, WALReceive}))
	checkURLRef(at, w.DatabaseURLRef, w.Server != (Server{}))
	w.Server.validate(func(field string, err error) { at("server."+field, err) })
	for _, f := range []struct {
		mode, field string
		given       bool
	}{
		{WALPush, "data_directory", w.DataDirectory != ""}, {WALPush, "ahead", w.Ahead != 0}, {WALPush, "jobs", w.Jobs != 0},
		{WALReceive, "slot", w.Slot != ""}, {WALReceive, "every", !w.Every.IsZero()}, {WALReceive, "confirm", w.Confirm != ""},
		{WALReceive, "slot_limit", w.SlotLimit != 0}, {WALReceive, "spool_limit", w.SpoolLimit != 0}, {WALReceive, "heartbeat", w.Heartbeat != nil},
	} {
		if f.given && w.Mode != f.mode {
			at(f.field, fmt.Errorf("has a meaning with mode %q only: leave it out", f.mode))
		}
	}
	if w.DataDirectory != "" {
		at("data_directory", checkAbsolute(w.DataDirectory))
	}
	if w.Spool != "" {
		at("spool", checkAbsolute(w.Spool))
	}
	if w.Ahead < 0 || w.Ahead > 10_000 {
		at("ahead", fmt.Errorf("is %d: give a number from 1 to 10000, or leave it out", w.Ahead))
	}
	if w.Jobs < 0 || w.Jobs > 64 {
		at("jobs", fmt.Errorf("is %d: give a number from 1 to 64, or leave it out", w.Jobs))
	}
	if w.Slot != "" && !slotPattern.MatchString(w.Slot) {
		at("slot", fmt.Errorf("%.80q: lower-case letters, digits and '_' are allowed, at most 63", w.Slot))
	}
	if w.Confirm != "" {
		at("confirm", oneOf(w.Confirm, []string{ConfirmStored, ConfirmSpooled}))
	}
	if w.SlotLimit < 0 || w.SpoolLimit < 0 {
		at("spool_limit", errors.New("and slot_limit are numbers of bytes, not below 0"))
	}
	checkBetween(at, "every", w.Every, 100*time.Millisecond, time.Hour)
	if h := w.Heartbeat; h != nil {
		at("heartbeat.database", checkText(h.Database))
		checkBetween(at, "heartbeat.every", h.Every, time.Second, 24*time.Hour)
	}
}

func checkExact(at func(string, error), field string, d duration.Duration) {
	if _, exact := d.Exact(); !exact {
		at(field, fmt.Errorf("%q goes by the calendar: give it in d, h, m or s", d))
	}
}

func checkBetween(at func(string, error), field string, d duration.Duration, least, most time.Duration) {
	if d.IsZero() {
		return
	}
	if exact, ok := d.Exact(); !ok || exact < least || exact > most {
		at(field, fmt.Errorf("%q: give a time from %s to %s", d, least, most))
	}
}

package standing

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/pgwal"
)

// Server is what a server says of its log and of those who take it.
type Server struct {
	System   string    `json:"system_identifier"`
	At       pgwal.LSN `json:"lsn"` // of a standby: how far it received
	Recovery bool      `json:"in_recovery"`
	// Timeline that it writes; 0 of a standby, which writes none.
	Timeline pgwal.Timeline `json:"timeline,omitzero"`
	Archiver Archiver       `json:"archiver"`
	Slots    []Slot         `json:"slots"`
}

// Archiver is archive_command and how it does (pg_stat_archiver).
type Archiver struct {
	Mode string `json:"archive_mode"` // off, on, always
	// Timeout is how long a segment with something in it stays open at most; 0 is for ever.
	Timeout        time.Duration `json:"-"`
	Archived       int64         `json:"archived"`
	LastArchived   string        `json:"last_archived,omitempty"`
	LastArchivedAt time.Time     `json:"last_archived_at,omitzero"`
	Failed         int64         `json:"failed"`
	LastFailed     string        `json:"last_failed,omitempty"`
	LastFailedAt   time.Time     `json:"last_failed_at,omitzero"`
}

// Failing tells whether the last thing that the archiver did was to fail.
func (a Archiver) Failing() bool {
	return !a.LastFailedAt.IsZero() && a.LastFailedAt.After(a.LastArchivedAt)
}

// Slot is a physical replication slot, for which the server keeps its log.
type Slot struct {
	Name   string `json:"name"`
	Active bool   `json:"active"`
	// State is reserved, extended, unreserved or lost; "" for a slot that nobody used yet.
	State  string `json:"state,omitempty"`
	Behind int64  `json:"behind_bytes"` // that the server keeps for it
}

// ReadServer asks a server. Any role may.
func ReadServer(ctx context.Context, conn *pgx.Conn) (Server, error) {
	s := Server{Slots: []Slot{}}
	failed := func(err error) (Server, error) {
		return Server{}, fmt.Errorf("ask the server how its WAL is archived: %w", err)
	}
	var at, timeline string
	var timeout int64
	var archivedAt, failedAt *time.Time
	err := conn.QueryRow(ctx, `
SELECT (SELECT system_identifier::text FROM pg_control_system()), pg_is_in_recovery(),
       CASE WHEN pg_is_in_recovery() THEN greatest(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn()) ELSE pg_current_wal_lsn() END::text,
       CASE WHEN pg_is_in_recovery() THEN '' ELSE left(pg_walfile_name(pg_current_wal_lsn()), 8) END,
       current_setting('archive_mode'), (SELECT setting::bigint FROM pg_settings WHERE name = 'archive_timeout'),
       archived_count, coalesce(last_archived_wal, ''), last_archived_time, failed_count, coalesce(last_failed_wal, ''), last_failed_time
  FROM pg_stat_archiver`).Scan(&s.System, &s.Recovery, &at, &timeline, &s.Archiver.Mode, &timeout,
		&s.Archiver.Archived, &s.Archiver.LastArchived, &archivedAt, &s.Archiver.Failed, &s.Archiver.LastFailed, &failedAt)
	if err != nil {
		return failed(err)
	}
	if s.At, err = pgwal.ParseLSN(at); err != nil {
		return failed(err)
	}
	if timeline != "" {
		if s.Timeline, err = pgwal.ParseTimeline(timeline); err != nil {
			return failed(err)
		}
	}
	s.Archiver.Timeout = time.Duration(timeout) * time.Second
	s.Archiver.LastArchivedAt, s.Archiver.LastFailedAt = momentOf(archivedAt), momentOf(failedAt)
	rows, err := conn.Query(ctx, `
SELECT slot_name::text, active, coalesce(wal_status, ''), coalesce(pg_wal_lsn_diff($1::pg_lsn, restart_lsn), 0)::bigint
  FROM pg_replication_slots WHERE slot_type = 'physical' ORDER BY 1`, at)
	if err != nil {
		return failed(err)
	}
	s.Slots, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (slot Slot, err error) {
		err = row.Scan(&slot.Name, &slot.Active, &slot.State, &slot.Behind)
		return slot, err
	})
	if err != nil {
		return failed(err)
	}
	return s, nil
}

func momentOf(t *time.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	return t.UTC()
}

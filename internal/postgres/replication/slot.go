package replication

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/jackc/pgx/v5"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/pgwal"
)

// Reasons for which a slot can not be used, for errors.Is.
var (
	ErrNoSlot     = errors.New("no such replication slot")
	ErrSlotExists = errors.New("the replication slot exists already")
	ErrSlotActive = errors.New("the replication slot is in use")
	ErrSlotLost   = errors.New("the replication slot lost its WAL")
)

// Slot is where the server keeps WAL for a receiver.
type Slot struct {
	Name     string
	Restart  pgwal.LSN      // WAL from here on is kept; 0 is none of it
	Timeline pgwal.Timeline // of Restart; 0 where the server does not tell (before PostgreSQL 15)
}

// CreateSlot makes a physical slot. With reserve the server keeps its WAL from the
// last checkpoint on at once; otherwise from where the first receiver begins. Errors:
// ErrSlotExists.
func (c *Conn) CreateSlot(ctx context.Context, name string, reserve bool) error {
	command := "CREATE_REPLICATION_SLOT " + quoteIdent(name) + " PHYSICAL"
	if reserve {
		command += " RESERVE_WAL"
	}
	if _, err := c.one(ctx, command); err != nil {
		return c.slotError("create", name, err)
	}
	return nil
}

// DropSlot removes a slot, and with it the server's duty to keep WAL for it. Errors:
// ErrNoSlot, ErrSlotActive.
func (c *Conn) DropSlot(ctx context.Context, name string) error {
	if _, err := c.conn.Exec(ctx, "DROP_REPLICATION_SLOT "+quoteIdent(name)).ReadAll(); err != nil {
		return c.slotError("drop", name, err)
	}
	return nil
}

// ReadSlot looks a physical slot up. Before PostgreSQL 15 that takes a connection for
// SQL. Errors: ErrNoSlot.
func (c *Conn) ReadSlot(ctx context.Context, name string) (Slot, error) {
	if c.major < 15 {
		return c.querySlot(ctx, name)
	}
	row, err := c.one(ctx, "READ_REPLICATION_SLOT "+quoteIdent(name))
	if err == nil && len(row) != 3 {
		err = fmt.Errorf("%d columns were answered", len(row))
	}
	if err != nil {
		return Slot{}, c.slotError("read", name, err)
	}
	if row[0] == "" {
		return Slot{}, c.slotError("read", name, ErrNoSlot)
	}
	s := Slot{Name: name}
	if row[1] == "" {
		return s, nil
	}
	if s.Restart, err = pgwal.ParseLSN(row[1]); err != nil {
		return Slot{}, c.slotError("read", name, err)
	}
	timeline, err := strconv.ParseUint(row[2], 10, 32)
	if err != nil {
		return Slot{}, c.slotError("read", name, err)
	}
	s.Timeline = pgwal.Timeline(timeline)
	return s, nil
}

func (c *Conn) querySlot(ctx context.Context, name string) (Slot, error) {
	conn, err := c.target.Connect(ctx)
	if err != nil {
		return Slot{}, fmt.Errorf("read replication slot %s: %w", name, err)
	}
	defer conn.Close(context.WithoutCancel(ctx))
	state, err := ReadSlotState(ctx, conn, name)
	if err != nil {
		return Slot{}, err
	}
	return Slot{Name: name, Restart: state.Restart}, nil
}

// SlotState is what only SQL tells of a slot.
type SlotState struct {
	Restart  pgwal.LSN
	Active   bool
	Status   string // wal_status: reserved, extended, unreserved, lost
	Retained int64  // bytes of WAL that the server keeps for it
}

// Lost tells that the server no longer has the WAL of the slot.
func (s SlotState) Lost() bool { return s.Status == "lost" }

// ReadSlotState asks for a slot over a connection for SQL; every role may. Errors:
// ErrNoSlot.
func ReadSlotState(ctx context.Context, conn *pgx.Conn, name string) (SlotState, error) {
	var s SlotState
	var restart string
	err := conn.QueryRow(ctx, `SELECT coalesce(s.restart_lsn::text, '0/0'), s.active, coalesce(s.wal_status, ''),
  greatest(coalesce(pg_catalog.pg_wal_lsn_diff(CASE WHEN pg_catalog.pg_is_in_recovery() THEN pg_catalog.pg_last_wal_receive_lsn()
    ELSE pg_catalog.pg_current_wal_lsn() END, s.restart_lsn), 0), 0)::bigint
FROM pg_catalog.pg_replication_slots s WHERE s.slot_name::text = $1 AND s.slot_type = 'physical'`, name).Scan(&restart, &s.Active, &s.Status, &s.Retained)
	if errors.Is(err, pgx.ErrNoRows) {
		err = ErrNoSlot
	}
	if err == nil {
		s.Restart, err = pgwal.ParseLSN(restart)
	}
	if err != nil {
		return SlotState{}, fmt.Errorf("read replication slot %s: %w", name, err)
	}
	return s, nil
}

// slotError gives the server's refusal its kind.
func (c *Conn) slotError(verb, name string, err error) error {
	return fmt.Errorf("%s replication slot %s of %s: %w", verb, name, c.target, ofSlot(err))
}

func ofSlot(err error) error {
	switch sqlState(err) {
	case "42704": // undefined_object
		return fmt.Errorf("%w: %w", ErrNoSlot, err)
	case "42710": // duplicate_object
		return fmt.Errorf("%w: %w", ErrSlotExists, err)
	case "55006": // object_in_use
		return fmt.Errorf("%w: %w", ErrSlotActive, err)
	case "53400": // configuration_limit_exceeded
		return fmt.Errorf("%w; raise max_replication_slots, or drop a slot that nobody uses (SELECT * FROM pg_replication_slots)", err)
	}
	return err
}

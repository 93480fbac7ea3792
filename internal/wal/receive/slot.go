package receive

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/bytesize"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/postgres"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/postgres/replication"
)

// maxSlotName is what a server allows, in bytes.
const maxSlotName = 63

// SlotName is the name of the slot of a source where none is given: pgbackup_ and the
// source in the letters that a slot may have. Where that would not tell it from others,
// a part of its SHA-256 follows.
func SlotName(source string) string {
	clean := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9', r == '_':
			return r
		}
		return '_'
	}, source)
	name := "pgbackup_" + clean
	if clean != source || len(name) > maxSlotName {
		sum := sha256.Sum256([]byte(source))
		name = name[:min(len(name), maxSlotName-9)] + "_" + hex.EncodeToString(sum[:4])
	}
	return name
}

// DropSlot removes the slot of a source: who stops receiving for good must, or the
// server keeps its WAL until the disk is full. Errors: replication.ErrNoSlot,
// replication.ErrSlotActive while a receiver is at work.
func DropSlot(ctx context.Context, to postgres.Target, slot string) error {
	conn, err := replication.Connect(ctx, to)
	if err != nil {
		return err
	}
	defer conn.Close()
	err = conn.DropSlot(ctx, slot)
	if errors.Is(err, replication.ErrSlotActive) {
		err = fmt.Errorf("%w; stop the receiver first", err)
	}
	return err
}

// ensureSlot finds the slot or makes it, and one that lost its WAL anew.
func (r *receiver) ensureSlot(ctx context.Context, conn *replication.Conn) (replication.Slot, error) {
	slot, err := conn.ReadSlot(ctx, r.slot)
	switch {
	case err == nil && slot.Restart != 0:
		return slot, nil
	case err == nil:
		r.Log.Warn("the replication slot keeps no WAL (it was made without, or what it kept became more than max_slot_wal_keep_size allows); it is made anew", "slot", r.slot)
		if err := conn.DropSlot(ctx, r.slot); err != nil && !errors.Is(err, replication.ErrNoSlot) {
			return slot, err
		}
	case !errors.Is(err, replication.ErrNoSlot):
		return slot, err
	}
	if err := conn.CreateSlot(ctx, r.slot, true); err != nil && !errors.Is(err, replication.ErrSlotExists) {
		return slot, err
	}
	r.Log.Info("made a replication slot; drop it when you stop receiving for good: wal receive --drop-slot", "slot", r.slot)
	return conn.ReadSlot(ctx, r.slot)
}

// slotPatience is how long whoever uses the slot without the lease is left alone.
const slotPatience = 10 * time.Second

// errNotOurs: what uses the slot is no receiver of ours, such as a standby server.
var errNotOurs = errors.New("it is used by a program of another name (application_name), or by another role: give this receiver a slot of its own")

// takeSlot ends the stream of a receiver that is cut off from the repository and not
// from the server: it can not know that this one has the lease. A role may end sessions
// of its own; what has another name is left alone.
func (r *receiver) takeSlot(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, slotTimeout)
	defer cancel()
	if err := r.endStream(ctx); err != nil {
		if r.seldom.due("slot", r.Now()) {
			r.Log.Warn("the slot is used by another receiver than the one with the lease, and can not be taken from it: end that one", "slot", r.slot, "error", err)
		}
		return
	}
	r.Log.Warn("the slot is taken from a receiver that does not have the lease", "slot", r.slot)
}

func (r *receiver) endStream(ctx context.Context) error {
	conn, err := r.Target.Connect(ctx)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	var ended int
	err = conn.QueryRow(ctx, `SELECT count(*) FILTER (WHERE pg_catalog.pg_terminate_backend(a.pid))
FROM pg_catalog.pg_replication_slots s JOIN pg_catalog.pg_stat_activity a ON a.pid = s.active_pid
WHERE s.slot_name::text = $1 AND a.application_name = pg_catalog.current_setting('application_name') AND a.usename = current_user`, r.slot).Scan(&ended)
	if err == nil && ended == 0 {
		err = errNotOurs
	}
	return err
}

// slotWatch looks at what the server keeps for the slot.
type slotWatch struct {
	limit int64 // bytes
	over  bool
}

const (
	slotEvery   = 15 * time.Second
	slotTimeout = 10 * time.Second
)

// watchSlot warns when the server keeps much WAL for the slot. It needs SQL, which a
// role for replication may not be let in for: then it is not known.
func (r *receiver) watchSlot(ctx context.Context, p *pending) {
	var conn *pgx.Conn
	defer func() {
		if conn != nil {
			_ = conn.Close(context.WithoutCancel(ctx))
		}
	}()
	for {
		state, err := r.lookAtSlot(ctx, &conn)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			p.setRetained(-1)
			r.Log.Debug("what the server keeps for the slot is not known", "slot", r.slot, "error", err)
		default:
			p.setRetained(state.Retained)
			r.tellOfSlot(state)
		}
		if pause(ctx, slotEvery) != nil {
			return
		}
	}
}

func (r *receiver) lookAtSlot(ctx context.Context, conn **pgx.Conn) (replication.SlotState, error) {
	ctx, cancel := context.WithTimeout(ctx, slotTimeout)
	defer cancel()
	if *conn == nil || (*conn).IsClosed() {
		var err error
		if *conn, err = r.Target.Connect(ctx); err != nil {
			*conn = nil
			return replication.SlotState{}, err
		}
	}
	state, err := replication.ReadSlotState(ctx, *conn, r.slot)
	if err != nil && !errors.Is(err, replication.ErrNoSlot) {
		_ = (*conn).Close(ctx)
		*conn = nil
	}
	return state, err
}

func (r *receiver) tellOfSlot(state replication.SlotState) {
	over := state.Retained > r.watch.limit
	switch {
	case state.Lost():
		r.Log.Error("the replication slot lost its WAL: more was kept than max_slot_wal_keep_size allows", "slot", r.slot)
	case state.Status == "unreserved":
		r.Log.Error("the replication slot is about to lose its WAL: raise max_slot_wal_keep_size", "slot", r.slot, "retained", bytesize.Text(state.Retained))
	case over && !r.watch.over:
		r.Log.Warn("the server keeps much WAL for the slot, and its disk fills: see whether the repository takes what is received", "slot", r.slot,
			"retained", bytesize.Text(state.Retained), "limit", bytesize.Text(r.watch.limit))
	case !over && r.watch.over:
		r.Log.Info("the server keeps little WAL for the slot again", "slot", r.slot, "retained", bytesize.Text(state.Retained))
	}
	r.watch.over = over
}

package replication

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/pgwal"
)

// Reasons for which a stream can not begin or go on, for errors.Is, beside those of
// slots.
var (
	ErrRemoved   = errors.New("the server no longer has this WAL")
	ErrNotInPast = errors.New("the position is not in the server's history")
	ErrAhead     = errors.New("the position is ahead of the server")
	ErrStopped   = errors.New("the server ended the stream")
)

// StreamOptions say what of the log is wanted.
type StreamOptions struct {
	Slot     string // "" is none: the server may remove what was not fetched
	Start    pgwal.LSN
	Timeline pgwal.Timeline // any of the server's history; its stream ends at the switch
}

// Stream is the server's log as it is written. Next is for one goroutine, Confirm for
// any.
type Stream struct {
	c     *Conn
	write sync.Mutex
	first *Message // what the server said instead of a stream
	ended bool
}

// Message is one of a stream. Exactly one of Data, Keepalive and End holds something.
type Message struct {
	At        pgwal.LSN // of the first byte of Data
	Data      []byte    // bytes of the log; valid until the next call of Next
	Keepalive bool
	Reply     bool      // of a keepalive: the server waits for a Confirm
	ServerEnd pgwal.LSN // how far the server's log went
	Sent      time.Time // the server's clock
	End       *End      // the timeline was left; the stream is over
}

// End is where a timeline was left.
type End struct {
	Next pgwal.Timeline // that the server's history goes on with
	At   pgwal.LSN      // the first position that belongs to Next
}

// Stream begins to receive. Until its End was read, or the connection is closed,
// nothing else can be done on it. Errors: ErrNoSlot, ErrSlotActive, ErrNotInPast; of
// some others (ErrSlotLost, ErrRemoved, ErrAhead) the server speaks only when the
// stream has begun, and Next returns them.
func (c *Conn) Stream(ctx context.Context, o StreamOptions) (*Stream, error) {
	command := "START_REPLICATION "
	if o.Slot != "" {
		command += "SLOT " + quoteIdent(o.Slot) + " "
	}
	command += fmt.Sprintf("PHYSICAL %s TIMELINE %d", o.Start, uint32(o.Timeline))
	fail := func(err error) (*Stream, error) {
		return nil, fmt.Errorf("stream WAL from %s on of timeline %s of %s: %w", o.Start, o.Timeline, c.target, streamError(err))
	}
	c.conn.Frontend().Send(&pgproto3.Query{String: command})
	if err := c.conn.Frontend().Flush(); err != nil {
		return fail(err)
	}
	s := &Stream{c: c}
	for {
		message, err := c.conn.ReceiveMessage(ctx)
		if err != nil {
			return fail(err)
		}
		switch m := message.(type) {
		case *pgproto3.CopyBothResponse:
			return s, nil
		case *pgproto3.RowDescription: // the timeline was left exactly at the start
			end, err := s.readEnd(ctx)
			if err != nil {
				return fail(err)
			}
			s.first, s.ended = &Message{End: end}, true
			return s, nil
		case *pgproto3.ErrorResponse:
			err := error(pgconn.ErrorResponseToPgError(m))
			return fail(errors.Join(err, c.untilReady(ctx)))
		}
	}
}

// untilReady reads past what is left of an answer.
func (c *Conn) untilReady(ctx context.Context) error {
	for {
		message, err := c.conn.ReceiveMessage(ctx)
		if err != nil {
			return err
		}
		if _, ready := message.(*pgproto3.ReadyForQuery); ready {
			return nil
		}
	}
}

// Next waits for the next message. After an End, and after an error, the stream is
// over; after an End the connection can be used again. Errors: ErrRemoved, ErrSlotLost,
// ErrAhead, ErrStopped when the server shuts down, and those of the connection.
func (s *Stream) Next(ctx context.Context) (Message, error) {
	if s.first != nil {
		m := *s.first
		s.first = nil
		return m, nil
	}
	if s.ended {
		return Message{}, errors.New("read WAL: the stream is over")
	}
	m, err := s.next(ctx)
	if err != nil {
		s.ended = true
		return Message{}, fmt.Errorf("read WAL from %s: %w", s.c.target, streamError(err))
	}
	return m, nil
}

func (s *Stream) next(ctx context.Context) (Message, error) {
	for {
		message, err := s.c.conn.ReceiveMessage(ctx)
		if err != nil {
			return Message{}, err
		}
		switch m := message.(type) {
		case *pgproto3.CopyData:
			return parseMessage(m.Data)
		case *pgproto3.CopyDone:
			end, err := s.finish(ctx)
			s.ended = true
			return Message{End: end}, err
		case *pgproto3.ErrorResponse:
			return Message{}, pgconn.ErrorResponseToPgError(m)
		case *pgproto3.CommandComplete: // of a server that shuts down
			return Message{}, fmt.Errorf("%w: it is shutting down", ErrStopped)
		}
	}
}

// parseMessage reads what is inside CopyData.
func parseMessage(data []byte) (Message, error) {
	switch {
	case len(data) > 25 && data[0] == 'w':
		return Message{
			At:        pgwal.LSN(binary.BigEndian.Uint64(data[1:])),
			ServerEnd: pgwal.LSN(binary.BigEndian.Uint64(data[9:])),
			Sent:      fromServer(binary.BigEndian.Uint64(data[17:])),
			Data:      data[25:],
		}, nil
	case len(data) == 18 && data[0] == 'k':
		return Message{
			Keepalive: true,
			ServerEnd: pgwal.LSN(binary.BigEndian.Uint64(data[1:])),
			Sent:      fromServer(binary.BigEndian.Uint64(data[9:])),
			Reply:     data[17] == 1,
		}, nil
	}
	return Message{}, fmt.Errorf("a message of %d bytes that is neither WAL nor a keepalive", len(data))
}

// finish answers the server's end of the stream with ours and reads where the
// history goes on.
func (s *Stream) finish(ctx context.Context) (*End, error) {
	s.write.Lock()
	_, err := s.c.conn.Conn().Write([]byte{'c', 0, 0, 0, 4}) // CopyDone
	s.write.Unlock()
	if err != nil {
		return nil, err
	}
	for {
		message, err := s.c.conn.ReceiveMessage(ctx)
		if err != nil {
			return nil, err
		}
		switch m := message.(type) {
		case *pgproto3.RowDescription:
			return s.readEnd(ctx)
		case *pgproto3.ErrorResponse:
			return nil, pgconn.ErrorResponseToPgError(m)
		case *pgproto3.ReadyForQuery:
			return nil, fmt.Errorf("%w and did not say which timeline is next", ErrStopped)
		}
	}
}

// readEnd reads the row (next_tli, next_tli_startpos) and all that follows it.
func (s *Stream) readEnd(ctx context.Context) (*End, error) {
	var end *End
	for {
		message, err := s.c.conn.ReceiveMessage(ctx)
		if err != nil {
			return nil, err
		}
		switch m := message.(type) {
		case *pgproto3.DataRow:
			if end, err = parseEnd(m.Values); err != nil {
				return nil, err
			}
		case *pgproto3.ErrorResponse:
			return nil, pgconn.ErrorResponseToPgError(m)
		case *pgproto3.ReadyForQuery:
			if end == nil {
				return nil, fmt.Errorf("%w and did not say which timeline is next", ErrStopped)
			}
			return end, nil
		}
	}
}

func parseEnd(row [][]byte) (*End, error) {
	if len(row) != 2 {
		return nil, fmt.Errorf("the next timeline came in %d columns", len(row))
	}
	next, err := strconv.ParseUint(string(row[0]), 10, 32)
	if err != nil || next == 0 {
		return nil, fmt.Errorf("the next timeline is %.40q", row[0])
	}
	at, err := pgwal.ParseLSN(string(row[1]))
	if err != nil {
		return nil, err
	}
	return &End{Next: pgwal.Timeline(next), At: at}, nil
}

// Confirm tells the server how far its log was taken: up to written it arrived here,
// up to flushed it is safe (a slot then keeps it no longer), up to applied it was
// replayed; 0 says nothing of that. now is this machine's clock. With reply the
// server answers with a keepalive, which shows that it lives.
func (s *Stream) Confirm(written, flushed, applied pgwal.LSN, now time.Time, reply bool) error {
	// Not over the connection's own buffer of messages: another goroutine is in Next.
	message := make([]byte, 0, 39)
	message = append(message, 'd', 0, 0, 0, 38, 'r')
	for _, n := range []uint64{uint64(written), uint64(flushed), uint64(applied), toServer(now)} {
		message = binary.BigEndian.AppendUint64(message, n)
	}
	wanted := byte(0)
	if reply {
		wanted = 1
	}
	message = append(message, wanted)
	s.write.Lock()
	defer s.write.Unlock()
	if _, err := s.c.conn.Conn().Write(message); err != nil {
		return fmt.Errorf("confirm WAL to %s: %w", s.c.target, err)
	}
	return nil
}

// epoch is where PostgreSQL's clock begins; it counts microseconds.
var epoch = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)

func fromServer(micros uint64) time.Time {
	return epoch.Add(time.Duration(int64(micros)) * time.Microsecond)
}

func toServer(t time.Time) uint64 { return uint64(t.Sub(epoch).Microseconds()) }

// streamError gives the server's refusal its kind. It is told by the words where the
// code is shared with other errors.
func streamError(err error) error {
	var pgErr *pgconn.PgError
	if !errors.As(err, &pgErr) {
		return err
	}
	for _, known := range []struct {
		words string
		kind  error
	}{
		{"has already been removed", ErrRemoved},
		{"is not in this server's history", ErrNotInPast},
		{"is ahead of the WAL flush position", ErrAhead},
		{"cannot read from replication slot", ErrSlotLost},          // 13 to 15
		{"cannot read from physical replication slot", ErrSlotLost}, // 16 and 17
		{"can no longer access replication slot", ErrSlotLost},      // 17 and newer
		{"can no longer get changes from replication slot", ErrSlotLost},
		{"was not created with immediate reservation", ErrSlotLost},
	} {
		if strings.Contains(pgErr.Message, known.words) {
			return fmt.Errorf("%w: %w", known.kind, err)
		}
	}
	switch pgErr.Code { // the words may be in another language
	case "58P01": // undefined_file
		return fmt.Errorf("%w: %w", ErrRemoved, err)
	case "55000": // object_not_in_prerequisite_state
		return fmt.Errorf("%w: %w", ErrSlotLost, err)
	}
	return ofSlot(err)
}

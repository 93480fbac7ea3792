package comparison

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/postgres"
)

// sessions are connections set up as pg_dump's, made when they are needed and
// used again.
type sessions struct {
	target   postgres.Target
	encoding string
	free     chan *pgx.Conn
}

func newSessions(t postgres.Target, encoding string, most int) *sessions {
	return &sessions{target: t, encoding: encoding, free: make(chan *pgx.Conn, most)}
}

// with does something on a session of its own.
func (s *sessions) with(ctx context.Context, do func(*pgx.Conn) error) error {
	var conn *pgx.Conn
	select {
	case conn = <-s.free:
	default:
		var err error
		if conn, err = s.target.Connect(ctx); err != nil {
			return err
		}
		if err := postgres.PrepareSession(ctx, conn, s.encoding); err != nil {
			closeConn(conn)
			return err
		}
	}
	err := do(conn)
	select {
	case s.free <- conn:
	default:
		closeConn(conn)
	}
	return err
}

func (s *sessions) close() {
	for {
		select {
		case conn := <-s.free:
			closeConn(conn)
		default:
			return
		}
	}
}

func closeConn(conn *pgx.Conn) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	_ = conn.Close(ctx) // all was read
}

// notThere is the server's word for an object that is not there, or not in the
// form it should have; "" for no error and for all others.
// Codes: https://www.postgresql.org/docs/current/errcodes-appendix.html
func notThere(err error) string {
	var pgErr *pgconn.PgError
	if !errors.As(err, &pgErr) {
		return ""
	}
	switch pgErr.Code {
	case "42P01", "3F000": // undefined_table, invalid_schema_name
		return "it is not there"
	case "42703", "42809": // undefined_column, wrong_object_type
		return "it has another form: " + pgErr.Message
	}
	return ""
}

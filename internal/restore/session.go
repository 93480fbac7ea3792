package restore

import (
	"context"
	"io"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/postgres"
)

// session is one loader's connection, set up as pg_restore's would be.
type session struct{ conn *pgx.Conn }

func (r *run) newSession(ctx context.Context) (*session, error) {
	conn, err := r.Target.Connect(ctx)
	if err != nil {
		return nil, err
	}
	s := &session{conn: conn}
	if err := postgres.PrepareSession(ctx, conn, r.point.Server.Encoding); err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

func (s *session) close() {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	s.conn.Close(ctx)
}

// counting adds what is read to a progress counter.
type counting struct {
	r io.Reader
	n *atomic.Int64
}

func (c *counting) Read(b []byte) (int, error) {
	n, err := c.r.Read(b)
	c.n.Add(int64(n))
	return n, err
}

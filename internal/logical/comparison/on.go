package comparison

import (
	"context"

	"github.com/jackc/pgx/v5"
)

// On is Run on one session that the caller has and prepared (see
// postgres.PrepareSession): it sees what a transaction there has not committed
// yet. Where something is not there, the transaction is over: that is an error.
func On(ctx context.Context, conn *pgx.Conn, o Options) (Result, error) {
	c := &run{Options: o}
	for _, group := range c.tables() {
		if err := c.together(ctx, conn, group); err != nil {
			return Result{}, err
		}
	}
	if err := c.rest(ctx, conn); err != nil {
		return Result{}, err
	}
	return c.found.sorted(), nil
}

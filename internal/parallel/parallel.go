// Package parallel does several things at once.
//
// What lives here: the one pool of goroutines that listing, reading and tagging
// share. What must not: anything that knows what is done.
package parallel

import (
	"context"
	"sync"
)

// Each does do for every i from 0 to n-1, at most workers at once, and waits for
// all that was begun. After the first failure, or when ctx ends, nothing more is
// begun and the context given to do ends; that failure, or the cause ctx ended
// for, is returned.
func Each(ctx context.Context, workers, n int, do func(ctx context.Context, i int) error) error {
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	var wg sync.WaitGroup
	next := make(chan int)
	for range min(workers, n) {
		wg.Go(func() {
			for i := range next {
				if err := do(ctx, i); err != nil {
					fail(err)
				}
			}
		})
	}
	for i := 0; i < n && ctx.Err() == nil; i++ {
		select {
		case next <- i:
		case <-ctx.Done():
		}
	}
	close(next)
	wg.Wait()
	return context.Cause(ctx)
}

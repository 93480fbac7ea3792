package parallel_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/parallel"
)

func TestEverythingIsDoneOnceAndNoMoreThanAllowedAtATime(t *testing.T) {
	t.Parallel()
	for _, n := range []int{0, 1, 3, 100} {
		done := make([]atomic.Int32, n)
		var busy, most atomic.Int32
		err := parallel.Each(t.Context(), 3, n, func(_ context.Context, i int) error {
			now := busy.Add(1)
			defer busy.Add(-1)
			for seen := most.Load(); now > seen && !most.CompareAndSwap(seen, now); seen = most.Load() {
			}
			done[i].Add(1)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		for i := range done {
			if times := done[i].Load(); times != 1 {
				t.Errorf("%d of %d was done %d times", i, n, times)
			}
		}
		if most.Load() > 3 {
			t.Errorf("%d at a time", most.Load())
		}
	}
}

func TestAfterTheFirstFailureNothingMoreIsBegunAndThatOneIsReturned(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	var begun atomic.Int32
	err := parallel.Each(t.Context(), 2, 1000, func(ctx context.Context, i int) error {
		begun.Add(1)
		if i == 5 {
			return broken
		}
		if i > 5 {
			<-ctx.Done() // the others are told
			return ctx.Err()
		}
		return nil
	})
	if !errors.Is(err, broken) || begun.Load() > 8 {
		t.Errorf("%v after %d", err, begun.Load())
	}
}

func TestAContextThatEndedIsAnErrorEvenWithNothingLeftToDo(t *testing.T) {
	t.Parallel()
	over := errors.New("over")
	ctx, end := context.WithCancelCause(t.Context())
	end(over)
	err := parallel.Each(ctx, 4, 10, func(context.Context, int) error {
		t.Error("something was begun")
		return nil
	})
	if !errors.Is(err, over) {
		t.Error(err)
	}
}

package repo

import (
	"bufio"
	"context"
	"errors"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore/dir"
)

// ttl is long enough for a busy machine and short enough to wait for.
const ttl = 600 * time.Millisecond

// elsewhere is a holder on another host.
func elsewhere() Holder {
	return Holder{Host: "db2", Machine: "m2", Boot: "b2", PIDs: "pid:[1]", PID: 1, Started: "1"}
}

func takeLease(r *Repository, self Holder, opts LeaseOptions) (*Lease, context.Context, error) {
	opts.Self, opts.What = self, "backup"
	if opts.TTL == 0 {
		opts.TTL = ttl
	}
	return r.TakeLease(context.Background(), "app", opts)
}

func mustTake(t *testing.T, r *Repository, self Holder) (*Lease, context.Context) {
	t.Helper()
	l, ctx, err := takeLease(r, self, LeaseOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Release() })
	return l, ctx
}

// die stops renewing without releasing, as a killed process does.
func (l *Lease) die() {
	l.once.Do(func() { close(l.stop); l.done.Wait() })
}

func TestOfManyTakersOneGetsTheLease(t *testing.T) {
	t.Parallel()
	r := newRepo(t, newStore(t), false)
	var won, locked atomic.Int32
	race := func() {
		var wg sync.WaitGroup
		for range 20 {
			wg.Go(func() {
				_, _, err := takeLease(r, Self(), LeaseOptions{TTL: time.Minute})
				var held *LockedError
				switch {
				case err == nil:
					won.Add(1)
				case errors.As(err, &held) && errors.Is(err, ErrLocked) && held.Holder.PID == os.Getpid():
					locked.Add(1)
				default:
					t.Error(err)
				}
			})
		}
		wg.Wait()
	}
	race()
	if won.Load() != 1 || locked.Load() != 19 {
		t.Fatalf("%d won, %d were locked out", won.Load(), locked.Load())
	}
	// And the same over the lease of a process that is gone.
	gone := Self()
	gone.Started = "1"
	overwriteLease(t, r, leaseDocument{Format: 1, Holder: gone, What: "backup"})
	race()
	if won.Load() != 2 || locked.Load() != 38 {
		t.Fatalf("the second time: %d won, %d were locked out", won.Load(), locked.Load())
	}
}

func overwriteLease(t *testing.T, r *Repository, doc leaseDocument) {
	t.Helper()
	l := &Lease{store: r.store, key: locksPrefix + "app.json", doc: doc}
	err := l.write(t.Context(), objstore.Condition{})
	if err != nil {
		t.Fatal(err)
	}
}

func TestAReleasedLeaseIsTakenAtOnce(t *testing.T) {
	t.Parallel()
	r := newRepo(t, newStore(t), false)
	for range 3 {
		begun := time.Now()
		l, ctx, err := takeLease(r, elsewhere(), LeaseOptions{TTL: time.Hour})
		if err != nil || time.Since(begun) > 10*time.Second {
			t.Fatalf("after %s: %v", time.Since(begun), err)
		}
		if err := errors.Join(l.Release(), l.Release()); err != nil || ctx.Err() == nil {
			t.Fatal(err)
		}
	}
}

func TestALiveHolderLocksOthersOut(t *testing.T) {
	t.Parallel()
	r := newRepo(t, newStore(t), false)
	_, ctx := mustTake(t, r, elsewhere())
	if _, _, err := takeLease(r, Self(), LeaseOptions{NoWait: true}); !errors.Is(err, ErrLocked) {
		t.Errorf("without waiting: %v", err)
	}
	// Seen renewing: alive, whatever its clock says.
	_, _, err := takeLease(r, Self(), LeaseOptions{})
	if !errors.Is(err, ErrLocked) || !strings.Contains(err.Error(), "pid 1 on db2") {
		t.Errorf("after waiting: %v", err)
	}
	if ctx.Err() != nil {
		t.Errorf("the holder lost it: %v", context.Cause(ctx))
	}
}

func TestADeadHolderElsewhereIsReplacedAfterOneTTLOfOurClock(t *testing.T) {
	t.Parallel()
	r := newRepo(t, newStore(t), false)
	future := time.Now().Add(1000 * time.Hour) // its clock is of no interest
	overwriteLease(t, r, leaseDocument{Format: 1, Holder: elsewhere(), What: "backup", Taken: future, Renewed: future})
	begun := time.Now()
	mustTake(t, r, Self())
	if waited := time.Since(begun); waited < ttl || waited > 20*ttl {
		t.Errorf("waited %s", waited)
	}
}

func TestALeaseNobodyCanReadIsWaitedForToo(t *testing.T) {
	t.Parallel()
	r := newRepo(t, newStore(t), false)
	overwrite(t, r.Store(), locksPrefix+"app.json", []byte("{hal"))
	if _, _, err := takeLease(r, Self(), LeaseOptions{NoWait: true}); !errors.Is(err, ErrLocked) {
		t.Errorf("without waiting: %v", err)
	}
	begun := time.Now()
	mustTake(t, r, Self())
	if time.Since(begun) < ttl {
		t.Errorf("waited only %s", time.Since(begun))
	}
}

// childStore is where the child of the next test finds the store.
const childStore = "PGBACKUP_TEST_LEASE_STORE"

func TestMain(m *testing.M) {
	if root := os.Getenv(childStore); root != "" {
		store, err := dir.Open(root)
		if err != nil {
			panic(err)
		}
		r, err := Open(context.Background(), store, OpenOptions{})
		if err != nil {
			panic(err)
		}
		if _, _, err := r.TakeLease(context.Background(), "app", LeaseOptions{What: "backup", Self: Self()}); err != nil {
			panic(err)
		}
		_, _ = os.Stdout.WriteString("taken\n")
		_, _ = os.Stdin.Read(make([]byte, 1)) // until the parent is gone or kills us
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func TestAKilledHolderOnThisHostIsReplacedAtOnce(t *testing.T) {
	t.Parallel()
	r := newRepo(t, newStore(t), false)
	child := exec.Command(os.Args[0])
	child.Env = append(os.Environ(), childStore+"="+strings.TrimPrefix(r.URL(), "file://"))
	in, err := child.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = in.Close() }()
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = child.Process.Kill() }()
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "taken\n" {
		t.Fatalf("the child said %q: %v", line, err)
	}
	var held *LockedError
	if _, _, err := takeLease(r, Self(), LeaseOptions{TTL: time.Hour}); !errors.As(err, &held) || held.Holder.PID != child.Process.Pid {
		t.Fatalf("while it lives: %v", err)
	}
	if err := child.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	// Even before its parent noticed: a zombie works no more.
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		l, _, err := takeLease(r, Self(), LeaseOptions{TTL: time.Hour})
		if err == nil {
			_ = l.Release()
			break
		}
		if !errors.Is(err, ErrLocked) || time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
	_ = child.Wait()
}

func TestWhetherAHolderLivesIsSaidOnlyWhereItCanBeSeen(t *testing.T) {
	t.Parallel()
	me := Self()
	change := func(f func(*Holder)) Holder { h := me; f(&h); return h }
	for what, c := range map[string]struct {
		holder Holder
		want   holderState
	}{
		"this process":                      {me, running},
		"its pid, started at another time":  {change(func(h *Holder) { h.Started = "1" }), gone},
		"a pid that is not there":           {change(func(h *Holder) { h.PID = 1 << 30 }), gone},
		"another pid namespace":             {change(func(h *Holder) { h.PIDs, h.PID = "pid:[1]", 1<<30 }), unknown},
		"no pid namespace":                  {change(func(h *Holder) { h.PIDs, h.PID = "", 1<<30 }), unknown},
		"no start time":                     {change(func(h *Holder) { h.Started, h.PID = "", 1<<30 }), unknown},
		"this machine before it restarted":  {change(func(h *Holder) { h.Boot, h.Machine = "b0", "m" }), gone},
		"an unnamed machine, another boot":  {change(func(h *Holder) { h.Boot, h.Machine = "b0", "" }), unknown},
		"a clone of this machine, renamed":  {change(func(h *Holder) { h.Boot, h.Machine, h.Host = "b0", "m", "clone" }), unknown},
		"another machine":                   {elsewhere(), unknown},
		"somebody who said nothing of this": {Holder{}, unknown},
	} {
		me := me
		me.Machine = "m"
		if got := c.holder.state(me); got != c.want {
			t.Errorf("%s: %d, want %d", what, got, c.want)
		}
	}
}

func TestAHolderThatCanNotRenewStopsWithinTheTTL(t *testing.T) {
	t.Parallel()
	hang := make(chan struct{})
	defer close(hang)
	for what, fail := range map[string]func() error{
		"errors":                       func() error { return errReset },
		"a store that does not answer": func() error { <-hang; return errReset },
	} {
		r := newRepo(t, newStore(t), false)
		var broken atomic.Bool
		l, ctx, err := takeLease(r.over(&meddler{Store: r.Store(), before: func(op, key string) error {
			if broken.Load() && strings.HasPrefix(key, locksPrefix) {
				return fail()
			}
			return nil
		}}), Self(), LeaseOptions{})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(ttl / 2) // one renewal
		l.mu.Lock()
		expires := l.seen.Add(l.ttl)
		l.mu.Unlock()
		broken.Store(true)
		select {
		case <-ctx.Done():
			if late := time.Since(expires); !errors.Is(context.Cause(ctx), ErrLeaseLost) || late > ttl/3 {
				t.Errorf("%s: %s after the TTL: %v", what, late, context.Cause(ctx))
			}
		case <-time.After(10 * ttl):
			t.Errorf("%s: it goes on", what)
		}
		broken.Store(false)
	}
}

func TestAHolderSurvivesAShortOutage(t *testing.T) {
	t.Parallel()
	r := newRepo(t, newStore(t), false)
	var down atomic.Bool
	outage := func(_, key string) error {
		if down.Load() && strings.HasPrefix(key, locksPrefix) {
			return errReset
		}
		return nil
	}
	for what, m := range map[string]*meddler{
		"requests are lost":                   {before: outage},
		"answers are lost, the writes happen": {after: outage},
	} {
		m.Store = r.Store()
		l, ctx, err := takeLease(r.over(m), Self(), LeaseOptions{})
		if err != nil {
			t.Fatal(err)
		}
		down.Store(true)
		time.Sleep(ttl * 5 / 10)
		down.Store(false)
		time.Sleep(ttl)
		if ctx.Err() != nil {
			t.Errorf("%s: %v", what, context.Cause(ctx))
		}
		if err := l.Release(); err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func TestAHolderThatWasReplacedStopsAndHarmsNobody(t *testing.T) {
	t.Parallel()
	r := newRepo(t, newStore(t), false)
	first, lost := mustTake(t, r, Self())
	overwriteLease(t, r, leaseDocument{Format: 1, Holder: elsewhere(), What: "rotate"})
	select {
	case <-lost.Done():
	case <-time.After(10 * ttl):
		t.Fatal("it goes on")
	}
	if !errors.Is(context.Cause(lost), ErrLeaseLost) {
		t.Errorf("cause: %v", context.Cause(lost))
	}
	if err := first.Release(); err != nil {
		t.Errorf("release of what was lost: %v", err)
	}
	if doc := string(raw(t, r.Store(), locksPrefix+"app.json")); !strings.Contains(doc, "db2") || strings.Contains(doc, `"released":true`) {
		t.Errorf("the lease of the other was touched: %s", doc)
	}
}

func TestALeaseThatIsThereAndIsNotIsReportedInsteadOfWaitedForEver(t *testing.T) {
	t.Parallel()
	r := newRepo(t, newStore(t), false)
	ghost := r.over(&meddler{Store: r.Store(), before: func(op, key string) error {
		if op == "put" && strings.HasPrefix(key, locksPrefix) {
			return objstore.ErrPrecondition // over a delete marker, on some servers
		}
		return nil
	}})
	if _, _, err := takeLease(ghost, Self(), LeaseOptions{}); err == nil || !strings.Contains(err.Error(), "delete marker") {
		t.Errorf("got %v", err)
	}
}

// Not parallel: it counts goroutines.
func TestALeaseLeavesNothingRunning(t *testing.T) {
	r := newRepo(t, newStore(t), false)
	goroutines := runtime.NumGoroutine()
	for range 5 {
		l, _, err := takeLease(r, Self(), LeaseOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if err := l.Release(); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	l, work, err := r.TakeLease(ctx, "app", LeaseOptions{Self: Self(), TTL: ttl})
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	<-work.Done()
	if err := l.Release(); err != nil {
		t.Errorf("an interrupted run can not release: %v", err)
	}
	whole(t, &PointWriter{}, goroutines)
	if _, _, err := takeLease(r, Self(), LeaseOptions{TTL: time.Hour, NoWait: true}); err != nil {
		t.Errorf("the next run: %v", err)
	}
}

func TestADeadHoldersSourceIsFreeOnceItsLeaseIsTakenOver(t *testing.T) {
	t.Parallel()
	r := newRepo(t, newStore(t), false)
	// The whole story: a run elsewhere stores data and dies, the next one waits
	// for its lease, sweeps, and makes its own point.
	dead, _ := mustTake(t, r, elsewhere())
	if _, err := begin(t.Context(), r, "app", pieces([]byte("dead"), 1), WriterOptions{}); err != nil {
		t.Fatal(err)
	}
	dead.die()
	_, ctx := mustTake(t, r, Self())
	if swept, err := r.Sweep(ctx, "app"); err != nil || swept.Points != 1 {
		t.Fatalf("swept %+v: %v", swept, err)
	}
	ref := put(t, r, "app", pieces([]byte("alive"), 1), WriterOptions{})
	wantReads(t, r, ref, []byte("alive"))
	wantListed(t, r, 1)
}

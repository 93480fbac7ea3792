package swap_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/postgres"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/restore/swap"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/testenv"
)

func TestTheOldDatabaseServesUntilTheNewOneTakesItsPlaceAndStays(t *testing.T) {
	t.Parallel()
	pg := testenv.Postgres(t)
	old(t, pg, "app")
	session := pg.Connect(t, "app")
	o := options(t, pg)
	o.Check = func(ctx context.Context, beside postgres.Target) error {
		if what := is(t, pg, "app"); what != "old" {
			t.Errorf("while the new one is checked it is %s", what)
		}
		if err := session.Ping(ctx); err != nil {
			t.Errorf("a session was ended before the swap: %v", err)
		}
		return nil
	}
	preview, err := swap.Examine(t.Context(), o)
	if err != nil || !preview.Exists || preview.Old != before || preview.Sessions != 1 || preview.Bytes <= 0 {
		t.Errorf("%+v, %v", preview, err)
	}
	result, err := swap.Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if result.Old != before || result.Ended < 1 || result.Away <= 0 || len(result.Warnings) > 0 {
		t.Errorf("%+v", result)
	}
	if session.Ping(t.Context()) == nil {
		t.Error("a session lives on in the old database")
	}
	if what := is(t, pg, "app"); what != "new" {
		t.Errorf("app is %s", what)
	}
	if what := is(t, pg, before); what != "old" {
		t.Errorf("%s is %s", before, what)
	}
	// Within the same second the old name is taken.
	o.Check = nil
	if result, err = swap.Run(t.Context(), o); err != nil || result.Old != before+"_2" {
		t.Errorf("%+v, %v", result, err)
	}
	wantDatabases(t, pg, "app", before, before+"_2")
}

func TestADatabaseThatDoesNotExistIsMadeAndNothingIsKept(t *testing.T) {
	t.Parallel()
	pg := testenv.Postgres(t)
	result, err := swap.Run(t.Context(), options(t, pg))
	if err != nil || result.Old != "" {
		t.Fatalf("%+v, %v", result, err)
	}
	if what := is(t, pg, "app"); what != "new" {
		t.Errorf("app is %s", what)
	}
	wantDatabases(t, pg, "app")
}

func TestTheDatabaseThatOthersAreRenamedThroughCanBeReplacedToo(t *testing.T) {
	t.Parallel()
	pg := testenv.Postgres(t)
	pg.Exec(t, "postgres", "CREATE TABLE is_it (what text)", "INSERT INTO is_it VALUES ('old')")
	o := options(t, pg)
	o.Target = o.Target.WithDatabase("postgres")
	if _, err := swap.Run(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	if a, b := is(t, pg, "postgres"), is(t, pg, "postgres_before_20260301t020000z"); a != "new" || b != "old" {
		t.Errorf("%s and %s", a, b)
	}
}

func TestWhoReconnectsAllTheTimeDoesNotPreventTheSwap(t *testing.T) {
	t.Parallel()
	pg := testenv.Postgres(t)
	old(t, pg, "app")
	ctx, stop := context.WithCancel(t.Context())
	var all sync.WaitGroup
	var answers, wrong atomic.Int64
	for range 6 {
		all.Go(func() {
			for ctx.Err() == nil {
				conn, err := pgx.Connect(ctx, pg.URL("app"))
				for err == nil {
					var what string
					if err = conn.QueryRow(ctx, "SELECT what FROM is_it").Scan(&what); err == nil {
						answers.Add(1)
						if what != "old" && what != "new" {
							wrong.Add(1)
						}
					}
				}
				if conn != nil {
					conn.Close(context.Background())
				}
			}
		})
	}
	for i := range 5 {
		o := options(t, pg)
		o.Now = func() time.Time { return moment.Add(time.Duration(i) * time.Second) }
		result, err := swap.Run(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%d sessions ended, away %s", result.Ended, result.Away)
		if result.Away > 5*time.Second {
			t.Errorf("nobody could connect for %s", result.Away)
		}
	}
	stop()
	all.Wait()
	if answers.Load() == 0 || wrong.Load() > 0 {
		t.Errorf("%d answers, %d wrong ones", answers.Load(), wrong.Load())
	}
}

func TestAFailureWhileFillingOrCheckingLeavesTheOldDatabaseAlone(t *testing.T) {
	t.Parallel()
	pg := testenv.Postgres(t)
	old(t, pg, "app")
	session := pg.Connect(t, "app")
	bad := errors.New("the rows differ")
	for name, change := range map[string]func(*swap.Options){
		"check": func(o *swap.Options) { o.Check = func(context.Context, postgres.Target) error { return bad } },
		"disk full": func(o *swap.Options) {
			o.Fill = func(ctx context.Context, to postgres.Target) error {
				if err := fill(ctx, to); err != nil {
					return err
				}
				err := execute(ctx, to, "DO $$ BEGIN RAISE EXCEPTION 'could not extend file: No space left on device' USING ERRCODE = 'disk_full'; END $$")
				return fmt.Errorf("%w: %w", bad, err)
			}
		},
		"nothing made": func(o *swap.Options) { o.Fill = func(context.Context, postgres.Target) error { return bad } },
	} {
		o := options(t, pg)
		change(&o)
		_, err := swap.Run(t.Context(), o)
		wantError(t, err, bad, "database app was not touched")
		if name == "disk full" {
			wantError(t, err, bad, "No space left on device")
		}
		wantDatabases(t, pg, "app")
	}
	if err := session.Ping(t.Context()); err != nil {
		t.Errorf("a session was ended for nothing: %v", err)
	}
}

func TestAnInterruptionLeavesNothing(t *testing.T) {
	t.Parallel()
	pg := testenv.Postgres(t)
	old(t, pg, "app")
	for _, late := range []bool{false, true} {
		ctx, interrupt := context.WithCancel(t.Context())
		o := options(t, pg)
		o.Fill = func(ctx context.Context, to postgres.Target) error {
			err := fill(ctx, to)
			interrupt()
			if late {
				return err
			}
			return errors.Join(err, ctx.Err())
		}
		_, err := swap.Run(ctx, o)
		wantError(t, err, context.Canceled, "was not touched")
		wantDatabases(t, pg, "app")
	}
	if what := is(t, pg, "app"); what != "old" {
		t.Errorf("app is %s", what)
	}
}

func TestWhatKilledRunsLeftIsRemovedAndNothingElse(t *testing.T) {
	t.Parallel()
	pg := testenv.Postgres(t)
	old(t, pg, "app")
	dead, strange, others := swap.BesideName("app"), "app_restoring_abcdefghijkl", swap.BesideName("app2")
	for _, name := range []string{dead, strange, others} {
		pg.CreateDatabase(t, name)
	}
	pg.Connect(t, dead) // what the killed run had started may still be at work
	o := options(t, pg)
	preview, err := swap.Examine(t.Context(), o)
	if err != nil || strings.Join(preview.Leftovers, " ") != dead {
		t.Errorf("%+v, %v", preview, err)
	}
	result, err := swap.Run(t.Context(), o)
	if err != nil || strings.Join(result.Removed, " ") != dead {
		t.Errorf("%+v, %v", result, err)
	}
	for _, name := range databases(t, pg) {
		if name == dead {
			t.Errorf("%s is still there", dead)
		}
	}
	if n := len(databases(t, pg)); n != 4 {
		t.Errorf("%d databases: %s", n, databases(t, pg))
	}
}

func TestTwoRunsDoNotReplaceTheSameDatabaseAtOnce(t *testing.T) {
	t.Parallel()
	pg := testenv.Postgres(t)
	old(t, pg, "app")
	o := options(t, pg)
	o.Fill = func(ctx context.Context, to postgres.Target) error {
		second := options(t, pg)
		second.Fill = func(context.Context, postgres.Target) error {
			t.Error("the second run began its work")
			return nil
		}
		_, err := swap.Run(ctx, second)
		wantError(t, err, swap.ErrBusy, "another run")
		return fill(ctx, to)
	}
	if _, err := swap.Run(t.Context(), o); err != nil {
		t.Error(err)
	}
}

func TestTheNewDatabaseCanKeepWhatBelongedToTheOldOne(t *testing.T) {
	t.Parallel()
	pg := testenv.Postgres(t)
	old(t, pg, "app")
	pg.Exec(t, "app", `CREATE ROLE "Boss ""B"""`, "CREATE ROLE worker", `ALTER DATABASE app OWNER TO "Boss ""B"""`, "REVOKE ALL ON DATABASE app FROM PUBLIC", "GRANT CONNECT ON DATABASE app TO worker WITH GRANT OPTION",
		`ALTER DATABASE app SET search_path = "$user", "it's", public`, `ALTER DATABASE app SET work_mem = '77MB'`, `ALTER ROLE worker IN DATABASE app SET my.setting = E'a\\b''c'`,
		"ALTER DATABASE app CONNECTION LIMIT 77", "COMMENT ON DATABASE app IS 'it''s the best'")
	told := func(name string) string {
		out, err := pg.Command(t.Context(), "pg_dump", "--create", "--schema-only", "--exclude-table=*", "-d", pg.URL(name)).Output()
		if err != nil {
			t.Fatal(err)
		}
		var b strings.Builder
		for line := range strings.Lines(strings.ReplaceAll(string(out), name, "NAME")) {
			if !strings.HasPrefix(line, `\`) {
				b.WriteString(line)
			}
		}
		return b.String()
	}
	want := told("app")
	o := options(t, pg)
	o.Keep = true
	if _, err := swap.Run(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	if got := told("app"); got != want || !strings.Contains(got, "77MB") || !strings.Contains(got, "WITH GRANT OPTION") {
		t.Errorf("before\n%s\nafter\n%s", want, got)
	}
}

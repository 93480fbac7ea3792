package fargate_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/awsapi"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/deploy/fargate"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/testenv"
)

func TestWhatIsAppliedReadsBackAsTheDocumentThatWasPlanned(t *testing.T) {
	t.Parallel()
	s := server(t)
	target := fargate.New(s.Config(), fargate.Options{})
	r := render(t, spec())
	d := apply(t, target, r)
	now, is := read(t, target, r.Document())
	if diff := cmp.Diff(r.Document(), now); diff != "" {
		t.Errorf("planned - there +:\n%s", diff)
	}
	if is != d {
		t.Errorf("applied %+v, read %+v", d, is)
	}
	want := r.Planned()
	want.TaskDefinitionARN = d.TaskDefinitionARN
	if d != want {
		t.Errorf("applied %+v, planned %+v", d, want)
	}
}

func TestRemovingLeavesTheAccountAsItWasBefore(t *testing.T) {
	t.Parallel()
	s := server(t)
	before := inventory(t, s)
	target := fargate.New(s.Config(), fargate.Options{})
	r := render(t, spec())
	apply(t, target, r)
	changed := spec()
	changed.Config.CPU = 2048
	changed.Config.MemoryMiB = 4096
	apply(t, target, render(t, changed)) // leaves an inactive revision
	if got := inventory(t, s); len(got) != len(before)+9 {
		t.Errorf("there is now\n%s", strings.Join(got, "\n"))
	}
	for range 2 { // removing what is gone is no error
		if err := target.Remove(t.Context(), r.Document()); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff(before, inventory(t, s)); diff != "" {
		t.Errorf("before - after +:\n%s", diff)
	}
	if _, _, err := target.Read(t.Context(), r.Document()); !errors.Is(err, awsapi.ErrGone) {
		t.Errorf("reading what is gone: %v", err)
	}
}

func TestAnApplyThatBreaksOffAnywhereIsFinishedByTheNextWithoutMakingAnythingTwice(t *testing.T) {
	t.Parallel()
	s := server(t)
	r := render(t, spec())
	whole := &testenv.AWSCalls{}
	plain := fargate.New(s.Config(), fargate.Options{})
	apply(t, fargate.New(whole.Watched(s.Config()), fargate.Options{}), r)
	want := inventory(t, s)
	if err := plain.Remove(t.Context(), r.Document()); err != nil {
		t.Fatal(err)
	}
	for n := 1; n <= len(whole.Names); n++ {
		broken := &testenv.AWSCalls{Answer: testenv.DeadAt(n)}
		_, err := fargate.New(broken.Watched(s.Config()), fargate.Options{}).Apply(t.Context(), r)
		if !errors.Is(err, testenv.ErrDead) {
			t.Fatalf("call %d (%s): %v", n, whole.Names[n-1], err)
		}
		d := apply(t, plain, r)
		if diff := cmp.Diff(inventoryOf(want), inventoryOf(inventory(t, s))); diff != "" {
			t.Errorf("broken at call %d (%s): want - got +:\n%s", n, whole.Names[n-1], diff)
		}
		if now, _ := read(t, plain, r.Document()); now != r.Document() {
			t.Errorf("broken at call %d (%s): %s", n, whole.Names[n-1], cmp.Diff(r.Document(), now))
		}
		if again := apply(t, plain, r); again != d {
			t.Errorf("broken at call %d: a third apply gives %+v after %+v", n, again, d)
		}
		if err := plain.Remove(t.Context(), r.Document()); err != nil {
			t.Fatal(err)
		}
	}
}

// inventoryOf takes the revisions of task definitions away, which count on.
func inventoryOf(list []string) []string {
	var out []string
	for _, line := range list {
		if at := strings.LastIndex(line, ":"); strings.HasPrefix(line, "task definition") {
			line = line[:at]
		}
		out = append(out, line)
	}
	return out
}

func TestARemovalThatBreaksOffAnywhereIsFinishedByTheNext(t *testing.T) {
	t.Parallel()
	s := server(t)
	before := inventory(t, s)
	r := render(t, spec())
	plain := fargate.New(s.Config(), fargate.Options{})
	for n := 1; ; n++ {
		apply(t, plain, r)
		broken := &testenv.AWSCalls{Answer: testenv.DeadAt(n)}
		err := fargate.New(broken.Watched(s.Config()), fargate.Options{}).Remove(t.Context(), r.Document())
		if err != nil && !errors.Is(err, testenv.ErrDead) {
			t.Fatalf("call %d: %v", n, err)
		}
		if again := plain.Remove(t.Context(), r.Document()); again != nil {
			t.Fatalf("after call %d broke: %v", n, again)
		}
		if diff := cmp.Diff(before, inventory(t, s)); diff != "" {
			t.Fatalf("broken at call %d: before - after +:\n%s", n, diff)
		}
		if err == nil {
			return // n is more than there are calls
		}
	}
}

func TestTheScheduleTurnsToTheNewRevisionBeforeTheOldOneGoes(t *testing.T) {
	t.Parallel()
	s := server(t)
	target := fargate.New(s.Config(), fargate.Options{})
	first := apply(t, target, render(t, spec()))
	changed := spec()
	changed.Runner.SHA256 = map[string]string{"x86_64": sum("c")}
	watch := &testenv.AWSCalls{}
	second := apply(t, fargate.New(watch.Watched(s.Config()), fargate.Options{}), render(t, changed))
	if first.TaskDefinitionARN == second.TaskDefinitionARN || first.ScheduleARN != second.ScheduleARN {
		t.Errorf("%+v, then %+v", first, second)
	}
	var order []string
	for _, name := range watch.Names {
		switch name {
		case "ECS.RegisterTaskDefinition", "Scheduler.UpdateSchedule", "ECS.DeregisterTaskDefinition":
			order = append(order, name)
		}
	}
	if diff := cmp.Diff([]string{"ECS.RegisterTaskDefinition", "Scheduler.UpdateSchedule", "ECS.DeregisterTaskDefinition"}, order); diff != "" {
		t.Errorf("want - got +:\n%s", diff)
	}
	if n := len(inventory(t, s)); n == 0 {
		t.Error("nothing is there")
	}
}

func TestAnApplyWithoutAChangeWritesNothing(t *testing.T) {
	t.Parallel()
	s := server(t)
	r := render(t, spec())
	apply(t, fargate.New(s.Config(), fargate.Options{}), r)
	watch := &testenv.AWSCalls{}
	apply(t, fargate.New(watch.Watched(s.Config()), fargate.Options{}), r)
	for _, name := range watch.Names {
		if _, op, _ := strings.Cut(name, "."); !strings.HasPrefix(op, "Get") && !strings.HasPrefix(op, "List") && !strings.HasPrefix(op, "Describe") {
			t.Errorf("%s was called", name)
		}
	}
	if len(watch.Names) > 20 {
		t.Errorf("%d calls for nothing: %v", len(watch.Names), watch.Names)
	}
}

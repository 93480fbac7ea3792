package fargate_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/scheduler"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/awsapi"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/deploy/fargate"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/deploy/scheduled"
)

func TestAWorkingDeploymentIsNotTakenOverAndHalfOfOneIsFinished(t *testing.T) {
	t.Parallel()
	s := server(t)
	target := fargate.New(s.Config(), fargate.Options{Generation: "one"})
	first, other := render(t, spec()), spec()
	other.Job.Logical.Databases = []string{"crm"}
	second := render(t, other)
	if err := target.CheckFree(t.Context(), first); err != nil {
		t.Errorf("nothing is there: %v", err)
	}
	apply(t, target, first)
	if err := target.CheckFree(t.Context(), first); err != nil {
		t.Errorf("the same is there: %v", err)
	}
	if err := target.CheckFree(t.Context(), second); !errors.Is(err, scheduled.ErrTaken) || !strings.Contains(err.Error(), "EventBridge schedule (pgbackup-nightly-") {
		t.Errorf("another job is there: %v", err)
	}
	if now, _ := read(t, target, first.Document()); now != first.Document() {
		t.Errorf("the generation shows as a change:\n%s", now)
	}
	_, name, _ := strings.Cut(first.Planned().ScheduleARN, "schedule/")
	group, name, _ := strings.Cut(name, "/")
	if _, err := scheduler.NewFromConfig(s.Config()).DeleteSchedule(t.Context(), &scheduler.DeleteScheduleInput{GroupName: &group, Name: &name}); err != nil {
		t.Fatal(err)
	}
	if err := target.CheckFree(t.Context(), second); err != nil {
		t.Errorf("half of a deployment is there: %v", err)
	}
	half := inventory(t, s)
	again := fargate.New(s.Config(), fargate.Options{Generation: "two"})
	apply(t, again, first)
	if err := again.Undo(t.Context()); err != nil {
		t.Fatal(err)
	}
	if left := inventory(t, s); !slices.Equal(left, half) {
		t.Errorf("undone is more or less than what was made:\n%s\nwas\n%s", strings.Join(left, "\n"), strings.Join(half, "\n"))
	}
}

func TestADeploymentIsRemovedByItsOwnGenerationOnly(t *testing.T) {
	t.Parallel()
	s := server(t)
	empty := inventory(t, s)
	r := render(t, spec())
	of := func(generation string) *fargate.Target {
		return fargate.New(s.Config(), fargate.Options{Generation: generation})
	}
	// One without a mark is anybody's, and who knows none removes any.
	apply(t, of(""), r)
	if err := of("none").Remove(t.Context(), r.Document()); err != nil {
		t.Error(err)
	}
	apply(t, of("some"), r)
	if err := of("").Remove(t.Context(), r.Document()); err != nil {
		t.Error(err)
	}
	apply(t, of("one"), r)
	apply(t, of("two"), r)
	apply(t, of(""), r) // an update by an earlier version
	full := inventory(t, s)
	if err := of("one").Remove(t.Context(), r.Document()); !errors.Is(err, awsapi.ErrSuperseded) {
		t.Errorf("removed by the earlier generation: %v", err)
	}
	if now := inventory(t, s); !slices.Equal(now, full) {
		t.Errorf("the earlier generation removed something: %s", strings.Join(now, "\n"))
	}
	if err := of("two").Remove(t.Context(), r.Document()); err != nil {
		t.Fatal(err)
	}
	if now := inventory(t, s); !slices.Equal(now, empty) {
		t.Errorf("left: %s", strings.Join(now, "\n"))
	}
}

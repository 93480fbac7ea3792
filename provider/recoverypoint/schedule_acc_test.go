package recoverypoint_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/knownvalue"
	"github.com/hashicorp/terraform-plugin-testing/plancheck"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"
	"github.com/hashicorp/terraform-plugin-testing/tfjsonpath"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/job"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/location"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
	"github.com/pgbackup/terraform-provider-pgbackup/provider/providertest"
)

const (
	scheduleARN = "arn:aws:scheduler:us-east-1:123456789012:schedule/pgbackup/pgbackup-nightly-1f0c3a9e"
	ecsTarget   = `{"Arn":"arn:aws:ecs:us-east-1:123456789012:cluster/main","RoleArn":"arn:aws:iam::123456789012:role/r","EcsParameters":{"TaskDefinitionArn":"arn:aws:ecs:us-east-1:123456789012:task-definition/pgbackup-nightly-1f0c3a9e:1","LaunchType":"FARGATE"}}`
	taskARN     = "arn:aws:ecs:us-east-1:123456789012:task/main/0123456789abcdef"
)

// fargate answers as EventBridge Scheduler and ECS do when a task ends with a code,
// having done its work. (The emulator runs no tasks.)
// target is what the schedule starts, jobURL what its runner is told to do.
func fargate(t *testing.T, code *int, target func() string, jobURL func() string, work func()) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, call, _ := strings.Cut(req.Header.Get("X-Amz-Target"), ".")
		switch {
		case strings.HasPrefix(req.URL.Path, "/schedules/pgbackup-nightly-1f0c3a9e"):
			_, _ = io.WriteString(w, `{"Arn":"`+scheduleARN+`","Name":"pgbackup-nightly-1f0c3a9e","GroupName":"pgbackup","ScheduleExpression":"cron(0 2 * * ? *)","FlexibleTimeWindow":{"Mode":"OFF"},
				"Target":`+target()+`}`)
		case call == "DescribeTaskDefinition":
			_, _ = fmt.Fprintf(w, `{"taskDefinition":{"status":"ACTIVE","containerDefinitions":[{"name":"fetch"},{"name":"runner","command":["backup","--job",%q]}]}}`, jobURL())
		case call == "RunTask":
			work()
			_, _ = io.WriteString(w, `{"tasks":[{"taskArn":"`+taskARN+`"}],"failures":[]}`)
		case call == "DescribeTasks":
			_, _ = fmt.Fprintf(w, `{"tasks":[{"taskArn":%q,"lastStatus":"STOPPED","stoppedReason":"Essential container in task exited","containers":[{"name":"runner","exitCode":%d}]}],"failures":[]}`, taskARN, *code)
		default:
			http.Error(w, `{"__type":"UnexpectedCall","message":"`+req.URL.Path+" "+call+`"}`, http.StatusBadRequest)
		}
	}))
	t.Cleanup(server.Close)
	return server.URL
}

func TestAccRecoveryPoint_runsAScheduleAndFindsWhatItMade(t *testing.T) {
	t.Setenv("AWS_ACCESS_KEY_ID", "testing")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "testing")
	dir := t.TempDir() + "/repo"
	code, runs := 1, 0
	sources := []string{}
	target := `{"Arn":"arn:aws:lambda:us-east-1:123456789012:function:pgbackup-nightly-1f0c3a9e","RoleArn":"arn:aws:iam::123456789012:role/r"}`
	jobURL := "s3://bucket/prod/jobs/nightly/none.json?region=us-east-1"
	// deployed puts the file of a job where the schedule's deployment does.
	deployed := func(databases ...string) {
		data, err := job.Job{Format: 1, Name: "nightly", Kind: job.KindLogical, Repository: "file://" + dir, Logical: &job.Logical{Databases: databases}}.Encode()
		if err != nil {
			t.Error(err)
			return
		}
		key := job.Key("nightly", data)
		if _, err := providertest.Open(t, "file://"+dir).Store().Put(t.Context(), key, data, objstore.PutOptions{}); err != nil {
			t.Error(err)
		}
		jobURL = "s3://bucket/prod/" + key + "?region=us-east-1"
	}
	url := fargate(t, &code, func() string { return target }, func() string { return jobURL }, func() {
		runs++
		r := providertest.Open(t, "file://"+dir)
		for _, source := range sources {
			p, err := r.NewPoint(source, "logical", time.Now(), repo.WriterOptions{})
			if err == nil {
				err = p.WriteStream(t.Context(), "archive", []byte("what was backed up"))
			}
			if err == nil {
				err = p.Commit(t.Context(), &repo.Manifest{End: time.Now(), Job: "nightly"})
			}
			if err != nil {
				t.Error(err)
			}
		}
	})
	config := func(more string) string {
		return fmt.Sprintf("provider \"pgbackup\" {\n  region = \"us-east-1\"\n  max_retries = 1\n  skip_credentials_validation = true\n  endpoints = {\n    ecs = %q\n    scheduler = %q\n  }\n}\n", url, url) +
			providertest.Repository(dir, "force_destroy = true") +
			"resource \"pgbackup_recovery_point\" \"release\" {\n  schedule = \"" + scheduleARN + "\"\n  repository = pgbackup_repository.main.id\n  " + more + "\n}\n"
	}
	id, err := location.Parse("file://" + dir)
	if err != nil {
		t.Fatal(err)
	}
	never := func() {
		if runs != 0 {
			t.Errorf("the task was run %d times", runs)
		}
	}
	providertest.Run(t,
		resource.TestStep{Config: config(""), PlanOnly: true, ExpectError: providertest.Message("this schedule runs on Lambda")},
		resource.TestStep{PreConfig: func() { target = ecsTarget }, Config: config(""), ExpectError: providertest.Message("the job of the schedule cannot be read")},
		resource.TestStep{PreConfig: func() { never(); deployed() }, Config: config(""), PlanOnly: true, ExpectError: providertest.Message("backs up every database of its server: say with source")},
		resource.TestStep{PreConfig: func() { deployed("app", "blog") }, Config: config(""), PlanOnly: true, ExpectError: providertest.Message("say with source which one this resource is about, such as app@db.example.org")},
		resource.TestStep{PreConfig: func() { never(); deployed("app") }, Config: config(""), ExpectError: providertest.Message("ended with exit code 1")},
		resource.TestStep{PreConfig: func() { code = 0 }, Config: config(""), ExpectError: providertest.Message("left no recovery point")},
		resource.TestStep{
			PreConfig: func() { sources = []string{"app@db", "blog@db"} },
			Config:    config(""), ExpectError: providertest.Message("say with source which one this resource is about: app@db, blog@db"),
		},
		resource.TestStep{
			PreConfig: func() { code = 3 }, // done, with warnings
			Config:    config("source = \"blog@db\"\n  hold = true"),
			ConfigStateChecks: []statecheck.StateCheck{
				statecheck.ExpectKnownValue(address, tfjsonpath.New("source"), knownvalue.StringExact("blog@db")),
				statecheck.ExpectKnownValue(address, tfjsonpath.New("kind"), knownvalue.StringExact("logical")),
				statecheck.ExpectKnownValue(address, tfjsonpath.New("repository"), knownvalue.StringExact(id.String())),
				statecheck.ExpectKnownValue(address, tfjsonpath.New("snapshot"), knownvalue.Null()),
			},
		},
		resource.TestStep{Config: config("source = \"blog@db\"\n  hold = true"), ConfigPlanChecks: emptyPlan()},
		resource.TestStep{PreConfig: func() {
			if runs != 4 {
				t.Errorf("the task was run %d times", runs)
			}
		}, Config: config("source = \"blog@db\""), ConfigPlanChecks: action(plancheck.ResourceActionUpdate)},
	)
}

package lambda_test

import (
	"archive/zip"
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awslambda "github.com/aws/aws-sdk-go-v2/service/lambda"
	lambdatypes "github.com/aws/aws-sdk-go-v2/service/lambda/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/scheduler"
	"github.com/google/go-cmp/cmp"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/awsapi"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/awsapi/role"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/deploy"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/deploy/deploytest"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/deploy/lambda"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/deploy/scheduled"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/iampolicy"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/job"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/runnerdist"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/testenv"
)

func spec() lambda.Spec {
	at, err := job.ParseRepository("s3://test-bucket/prod?region=us-east-1")
	if err != nil {
		panic(err)
	}
	return lambda.Spec{
		Spec: deploy.Spec{
			Job: job.Job{
				Format: job.Format, Name: "tidy", Kind: job.KindRotate, Repository: at.String(), Policy: "prod",
				KeyRef: deploytest.Ref("secretsmanager:acme/backup-key"), Schedule: &job.Schedule{Cron: "30 4 * * *", Timezone: "Europe/Berlin"},
			},
			Runner: deploy.Runner{Repository: at, SHA256: map[string]string{"x86_64": sum("a"), "arm64": sum("b")}},
			Tags:   map[string]string{"team": "db"},
		},
		Facts: iampolicy.Facts{Account: deploytest.Account, Region: "us-east-1"},
	}
}

func sum(digit string) string { return strings.Repeat(digit, 64) }

func render(t testing.TB, s lambda.Spec) lambda.Rendered {
	t.Helper()
	r, err := lambda.Render(s)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// server is moto with an archive for each hash that spec has, and one for others.
func server(t testing.TB) *testenv.AWSServer {
	t.Helper()
	s := testenv.AWS(t)
	for _, hash := range []string{"a", "b", "c"} {
		var archive bytes.Buffer
		z := zip.NewWriter(&archive)
		w, err := z.Create("bootstrap")
		if err == nil {
			_, err = w.Write([]byte("#!/bin/sh\necho " + hash + "\n"))
		}
		if err := errors.Join(err, z.Close()); err != nil {
			t.Fatal(err)
		}
		for _, arch := range []string{runnerdist.AMD64, runnerdist.ARM64} {
			put(t, s, "prod/"+runnerdist.LambdaKey(sum(hash), arch), archive.Bytes())
		}
	}
	return s
}

func put(t testing.TB, s *testenv.AWSServer, key string, content []byte) {
	t.Helper()
	if _, err := s.Client().PutObject(t.Context(), &s3.PutObjectInput{Bucket: &s.Bucket, Key: &key, Body: bytes.NewReader(content)}); err != nil {
		t.Fatal(err)
	}
}

func inventory(t testing.TB, s *testenv.AWSServer) []string {
	t.Helper()
	list, err := testenv.Inventory(t.Context(), s.Config())
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func apply(t testing.TB, target *lambda.Target, r lambda.Rendered) lambda.Deployed {
	t.Helper()
	d, err := target.Apply(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func read(t testing.TB, target *lambda.Target, document string) (string, lambda.Deployed) {
	t.Helper()
	now, d, err := target.Read(t.Context(), document)
	if err != nil {
		t.Fatal(err)
	}
	return now, d
}

func TestWhatIsAppliedReadsBackAndIsRemovedWithoutATrace(t *testing.T) {
	t.Parallel()
	s := server(t)
	before := inventory(t, s)
	target := lambda.New(s.Config(), lambda.Options{})
	first := spec()
	r := render(t, first)
	d := apply(t, target, r)
	now, is := read(t, target, r.Document())
	if diff := cmp.Diff(r.Document(), now); diff != "" {
		t.Errorf("planned - there +:\n%s", diff)
	}
	if is != d || d != r.Planned() {
		t.Errorf("planned %+v, applied %+v, read %+v", r.Planned(), d, is)
	}

	changed := spec() // everything of it that can change, but the architecture, which moto keeps
	changed.Runner.SHA256 = map[string]string{"x86_64": sum("c")}
	changed.Tags = map[string]string{"stage": "prod"}
	changed.Config = lambda.Config{
		MemoryMiB: 1024, Timeout: time.Minute, Environment: map[string]string{"A": "b"},
		Subnets: []string{"subnet-0aaa0000"}, SecurityGroups: []string{"sg-0aaa0000"},
	}
	changed.Config.Disabled, changed.Config.LogRetentionDays, changed.Config.FlexibleWindow = true, 7, 5*time.Minute
	r = render(t, changed)
	apply(t, target, r)
	if now, _ := read(t, target, r.Document()); now != r.Document() {
		t.Errorf("changed: planned - there +:\n%s", cmp.Diff(r.Document(), now))
	}
	r = render(t, first) // and back: what is no longer given is taken away
	apply(t, target, r)
	if now, _ := read(t, target, r.Document()); now != r.Document() {
		t.Errorf("changed back: planned - there +:\n%s", cmp.Diff(r.Document(), now))
	}

	for range 2 {
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
	plain := lambda.New(s.Config(), lambda.Options{})
	apply(t, lambda.New(whole.Watched(s.Config()), lambda.Options{}), r)
	want := inventory(t, s)
	if err := plain.Remove(t.Context(), r.Document()); err != nil {
		t.Fatal(err)
	}
	for n := 1; n <= len(whole.Names); n++ {
		broken := &testenv.AWSCalls{Answer: testenv.DeadAt(n)}
		if _, err := lambda.New(broken.Watched(s.Config()), lambda.Options{}).Apply(t.Context(), r); !errors.Is(err, testenv.ErrDead) {
			t.Fatalf("call %d (%s): %v", n, whole.Names[n-1], err)
		}
		apply(t, plain, r)
		if diff := cmp.Diff(want, inventory(t, s)); diff != "" {
			t.Errorf("broken at call %d (%s): want - got +:\n%s", n, whole.Names[n-1], diff)
		}
		if now, _ := read(t, plain, r.Document()); now != r.Document() {
			t.Errorf("broken at call %d (%s): %s", n, whole.Names[n-1], cmp.Diff(r.Document(), now))
		}
		if err := plain.Remove(t.Context(), r.Document()); err != nil {
			t.Fatal(err)
		}
	}
}

func TestDriftOfTheFunctionShowsAndIsRepaired(t *testing.T) {
	t.Parallel()
	s := server(t)
	target := lambda.New(s.Config(), lambda.Options{})
	r := render(t, spec())
	d := apply(t, target, r)
	client := awslambda.NewFromConfig(s.Config())
	for what, drift := range map[string]struct {
		do    func() error
		shows string
	}{
		"other code": {func() error {
			_, err := client.UpdateFunctionCode(t.Context(), &awslambda.UpdateFunctionCodeInput{FunctionName: &d.FunctionARN, S3Bucket: &s.Bucket, S3Key: aws.String("prod/" + runnerdist.LambdaKey(sum("c"), "amd64"))})
			return err
		}, "unknown code"},
		"other settings": {func() error {
			_, err := client.UpdateFunctionConfiguration(t.Context(), &awslambda.UpdateFunctionConfigurationInput{FunctionName: &d.FunctionARN, Timeout: aws.Int32(3), Environment: &lambdatypes.Environment{Variables: map[string]string{"X": "y"}}})
			return err
		}, `"X": "y"`},
		"retries": {func() error {
			_, err := client.DeleteFunctionEventInvokeConfig(t.Context(), &awslambda.DeleteFunctionEventInvokeConfigInput{FunctionName: &d.FunctionARN})
			return err
		}, `"maximumRetryAttempts": 2`},
		"tags": {func() error {
			_, err := client.TagResource(t.Context(), &awslambda.TagResourceInput{Resource: &d.FunctionARN, Tags: map[string]string{"more": "y"}})
			return err
		}, `"more": "y"`},
		"gone": {func() error {
			_, err := client.DeleteFunction(t.Context(), &awslambda.DeleteFunctionInput{FunctionName: &d.FunctionARN})
			return err
		}, ""},
	} {
		if err := drift.do(); err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		if now, _ := read(t, target, r.Document()); now == r.Document() || !strings.Contains(now, drift.shows) {
			t.Errorf("%s: %q does not show in\n%s", what, drift.shows, now)
		}
		apply(t, target, r)
		if now, _ := read(t, target, r.Document()); now != r.Document() {
			t.Errorf("%s was not repaired:\n%s", what, cmp.Diff(r.Document(), now))
		}
	}
}

func TestAFunctionOfSomebodyElseIsRefused(t *testing.T) {
	t.Parallel()
	s := server(t)
	r := render(t, spec())
	name := r.Planned().FunctionARN[strings.LastIndex(r.Planned().FunctionARN, ":")+1:]
	theirs, _, err := role.New(s.Config()).Ensure(t.Context(), role.Role{Name: "theirs", Trust: iampolicy.TrustLambda(), Tags: awsapi.OwnTags(nil, "", "")})
	if err != nil {
		t.Fatal(err)
	}
	_, err = awslambda.NewFromConfig(s.Config()).CreateFunction(t.Context(), &awslambda.CreateFunctionInput{
		FunctionName: &name, Role: &theirs, Runtime: lambdatypes.RuntimeProvidedal2023, Handler: aws.String("x"),
		Code: &lambdatypes.FunctionCode{S3Bucket: &s.Bucket, S3Key: aws.String("prod/" + runnerdist.LambdaKey(sum("c"), "amd64"))},
	})
	if err != nil {
		t.Fatal(err)
	}
	target := lambda.New(s.Config(), lambda.Options{})
	if _, err := target.Apply(t.Context(), r); !errors.Is(err, awsapi.ErrForeign) || !strings.Contains(err.Error(), name) {
		t.Errorf("%v", err)
	}
	if err := target.Remove(t.Context(), r.Document()); !errors.Is(err, awsapi.ErrForeign) {
		t.Errorf("%v", err)
	}
}

func TestARoleThatLambdaCannotAssumeYetIsWaitedFor(t *testing.T) {
	t.Parallel()
	s := server(t)
	refused := 0
	watch := &testenv.AWSCalls{Answer: func(_ int, name string) error {
		if name == "Lambda.CreateFunction" && refused < 2 {
			refused++
			return testenv.AWSRefusal("InvalidParameterValueException", "The role defined for the function cannot be assumed by Lambda.")
		}
		return nil
	}}
	apply(t, lambda.New(watch.Watched(s.Config()), lambda.Options{}), render(t, spec()))
	if refused != 2 {
		t.Errorf("refused %d times", refused)
	}
}

var update = flag.Bool("update", false, "write the golden files")

func TestAJobRendersAsTheGoldenFileSays(t *testing.T) {
	t.Parallel()
	s := spec()
	s.Config.Subnets, s.Config.SecurityGroups = []string{"subnet-0bbb0000", "subnet-0aaa0000"}, []string{"sg-0aaa0000"}
	s.Config.Environment = map[string]string{"TZ": "Europe/Berlin"}
	d, err := scheduled.Parse(render(t, s).Document())
	if err != nil {
		t.Fatal(err)
	}
	function := d.Roles[scheduled.FunctionRole]
	function.Policy = json.RawMessage(`"what iampolicy.ForJob says"`) // tested there
	d.Roles[scheduled.FunctionRole] = function
	file := filepath.Join("testdata", "tidy.golden")
	if *update {
		if err := os.WriteFile(file, []byte(d.String()), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), d.String()); diff != "" {
		t.Errorf("want - got +:\n%s", diff)
	}
}

func TestWhatLambdaCannotDoIsRefusedAtPlan(t *testing.T) {
	t.Parallel()
	for want, change := range map[string]func(*lambda.Spec){
		"needs pg_dump": func(s *lambda.Spec) { s.Job.Kind, s.Job.Logical = job.KindLogical, &job.Logical{} },
		`a job of kind "files" has nothing to work on there`: func(s *lambda.Spec) {
			s.Job.Kind, s.Job.Files = job.KindFiles, &job.Files{Paths: []string{"/etc"}}
		},
		"a restore drill needs the server": func(s *lambda.Spec) {
			s.Job.Kind, s.Job.Drill = job.KindDrill, &job.Drill{Into: job.DrillInto{ScratchCluster: &job.ScratchCluster{}}}
		},
		"runs all the time, and a function ends after 15 minutes": func(s *lambda.Spec) {
			s.Job.Kind, s.Job.Logical, s.Job.Schedule, s.Job.WAL = job.KindWAL, nil, nil, &job.WAL{Mode: job.WALReceive, Server: job.Server{Host: "db"}}
		},
		`mode = "push" has no place there`: func(s *lambda.Spec) {
			s.Job.Kind, s.Job.Logical, s.Job.WAL = job.KindWAL, nil, &job.WAL{Mode: job.WALPush, Server: job.Server{Host: "db"}}
		},
		"a base backup reads a whole server": func(s *lambda.Spec) {
			s.Job.Kind, s.Job.Physical = job.KindPhysical, &job.Physical{Server: job.Server{Host: "db"}}
		},
		"memory of 64 MiB": func(s *lambda.Spec) { s.Config.MemoryMiB = 64 },
		"timeout 16m0s":    func(s *lambda.Spec) { s.Config.Timeout = 16 * time.Minute },
		"belong together":  func(s *lambda.Spec) { s.Config.Subnets = []string{"subnet-0aaa0000"} },
		"key_ref = \"file:/key\" cannot be read on lambda":        func(s *lambda.Spec) { s.Job.KeyRef = deploytest.Ref("file:/key") },
		"Lambda in eu-west-1 takes code only from a bucket there": func(s *lambda.Spec) { s.Facts.Region = "eu-west-1" },
		"the runner was not brought for arm64": func(s *lambda.Spec) {
			s.Runner.SHA256, s.Config.Architecture = map[string]string{"x86_64": sum("a")}, "arm64"
		},
	} {
		s := spec()
		change(&s)
		if _, err := lambda.Render(s); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v\nwant %s", err, want)
		}
	}
}

// registered is the code and the event of what the schedule invokes, read back
// from AWS; the code as moto was told where to find it.
func registered(t *testing.T, w *deploytest.World, d lambda.Deployed) (event string, timeout time.Duration) {
	t.Helper()
	part := strings.Split(d.ScheduleARN, "/")
	when, err := scheduler.NewFromConfig(w.AWS.Config()).GetSchedule(t.Context(), &scheduler.GetScheduleInput{GroupName: &part[1], Name: &part[2]})
	if err != nil {
		t.Fatal(err)
	}
	f, err := awslambda.NewFromConfig(w.AWS.Config()).GetFunction(t.Context(), &awslambda.GetFunctionInput{FunctionName: when.Target.Arn})
	if err != nil {
		t.Fatal(err)
	}
	return aws.ToString(when.Target.Input), time.Duration(aws.ToInt32(f.Configuration.Timeout)) * time.Second
}

func TestWhatIsDeployedIsWhatRuns(t *testing.T) {
	t.Parallel()
	w := deploytest.New(t)
	set, err := runnerdist.FromPath(w.Runner)
	if err != nil {
		t.Fatal(err)
	}
	archive, err := runnerdist.LambdaZip(set.Builds()[0])
	if err != nil {
		t.Fatal(err)
	}
	put(t, w.AWS, "prod/"+runnerdist.LambdaKey(w.SHA256, set.Builds()[0].Arch), archive) // Lambda reads its code from moto

	s := spec()
	s.Job.Repository, s.Job.Policy, s.Job.Kind = w.At.String(), "", job.KindVerify
	s.Runner, s.Config.Architecture = w.Release(), w.Arch
	r := render(t, s)
	w.PutJob(t, r.Job)
	d := apply(t, lambda.New(w.AWS.Config(), lambda.Options{}), r)

	w.Run(t, "backup", "--repository", w.At.String(), "--database", w.PG.URL("shop"), "--source", "shop")

	event, timeout := registered(t, w, d)
	end, err := testenv.RunFunction(t.Context(), testenv.Function{Bootstrap: unpack(t, archive), Env: w.Env, Event: []byte(event), Timeout: timeout})
	if err != nil || end.Failed {
		t.Fatalf("%v, %s\n%s", err, end.Answer, end.Log)
	}
	var answer struct {
		ExitCode *int `json:"exit_code"`
	}
	if err := json.Unmarshal(end.Answer, &answer); err != nil || answer.ExitCode == nil || *answer.ExitCode != 0 {
		t.Errorf("%s, %v", end.Answer, err)
	}
	if metrics := deploytest.Metrics(end.Log); len(metrics) == 0 || metrics[0]["Job"] != "tidy" {
		t.Errorf("metrics %v in the log\n%s", metrics, end.Log)
	}
}

func unpack(t *testing.T, archive []byte) string {
	t.Helper()
	z, err := zip.NewReader(bytes.NewReader(archive), int64(len(archive)))
	if err != nil {
		t.Fatal(err)
	}
	r, err := z.Open("bootstrap")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	program, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "bootstrap")
	if err := os.WriteFile(path, program, 0o755); err != nil { //nolint:gosec // a program
		t.Fatal(err)
	}
	return path
}

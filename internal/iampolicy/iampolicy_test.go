package iampolicy_test

import (
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/deploy"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/iampolicy"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/job"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/secretref"
)

var update = flag.Bool("update", false, "write the golden files anew")

func ref(s string) secretref.Ref {
	r, err := secretref.Parse(s)
	if err != nil {
		panic(err)
	}
	return r
}

// jobOf a kind, with as little as it needs.
func jobOf(kind job.Kind) job.Job {
	j := job.Job{Format: job.Format, Name: "nightly", Kind: kind, Repository: "s3://acme-pg-backups/prod?region=us-east-1", Policy: "prod"}
	switch kind {
	case job.KindLogical:
		j.Logical = &job.Logical{Server: job.Server{Host: "db"}}
	case job.KindPhysical:
		j.Physical = &job.Physical{Server: job.Server{Host: "db"}}
	case job.KindWAL:
		j.WAL = &job.WAL{Mode: job.WALReceive, Server: job.Server{Host: "db"}}
	case job.KindGlobals:
		j.Globals = &job.Globals{Server: job.Server{Host: "db"}}
	case job.KindConfig:
		j.Config = &job.Config{RDSInstance: "acme-prod"}
	case job.KindFiles:
		j.Files = &job.Files{Paths: []string{"/etc/app"}}
	case job.KindCommand:
		j.Command = &job.Command{Argv: []string{"true"}}
	case job.KindRDSSnapshot:
		j.RDSSnapshot = &job.RDSSnapshot{Instance: "acme-prod"}
	case job.KindDrill:
		j.Drill = &job.Drill{Into: job.DrillInto{ScratchCluster: &job.ScratchCluster{}}}
	}
	return j
}

func facts() iampolicy.Facts {
	return iampolicy.Facts{Account: "111122223333", Region: "us-east-1"}
}

// full is a job and facts with everything that adds to a policy.
func full() (job.Job, iampolicy.Facts) {
	j := jobOf(job.KindLogical)
	j.KeyRef = ref("kms:arn:aws:kms:us-east-1:111122223333:alias/pg-backups")
	j.Logical.Server.PasswordRef = ref("secretsmanager:acme/db#password")
	j.Logical.Server.SSLRootCertRef = ref("ssm:/acme/ca")
	j.Notify = []job.Notification{{Channel: job.ChannelSlack, URLRef: ref("secretsmanager:arn:aws:secretsmanager:eu-west-1:111122223333:secret:slack-AbCdEf")}}
	j.Metrics = job.MetricsCloudWatch
	f := facts()
	f.BucketKMSKey = "arn:aws:kms:us-east-1:111122223333:key/1"
	f.SecretKMSKeys = []string{"arn:aws:kms:us-east-1:111122223333:key/2"}
	f.ObjectLock, f.InVPC, f.LogGroupARN = true, true, "arn:aws:logs:us-east-1:111122223333:log-group:/pgbackup/nightly:*"
	return j, f
}

func documents(t *testing.T) map[string]iampolicy.Document {
	t.Helper()
	d := map[string]iampolicy.Document{
		"trust_ecs":          iampolicy.TrustECSTasks(facts()),
		"trust_scheduler":    iampolicy.TrustScheduler("111122223333", "arn:aws:scheduler:us-east-1:111122223333:schedule-group/pgbackup"),
		"trust_lambda":       iampolicy.TrustLambda(),
		"trust_replication":  iampolicy.TrustS3Replication(),
		"trust_ec2":          iampolicy.TrustEC2(),
		"trust_github":       iampolicy.TrustGitHub("", "111122223333", "acme/infrastructure"),
		"trust_irsa":         iampolicy.TrustIRSA("aws-cn", "111122223333", "https://oidc.eks.cn-north-1.amazonaws.com.cn/id/ABC/", "shop", "backup"),
		"trust_pod_identity": iampolicy.TrustPodIdentity("shop", "backup"),
		"scheduler_ecs": iampolicy.ForSchedulerECS("arn:aws:ecs:us-east-1:111122223333:task-definition/pgbackup-nightly", "arn:aws:ecs:us-east-1:111122223333:cluster/main",
			"arn:aws:iam::111122223333:role/task", "arn:aws:iam::111122223333:role/execution").And(iampolicy.ForDeadLetter("arn:aws:sqs:us-east-1:111122223333:dead")),
		"scheduler_lambda": iampolicy.ForSchedulerLambda("arn:aws:lambda:us-east-1:111122223333:function:rotate"),
		"execution":        iampolicy.ForExecution("arn:aws:logs:us-east-1:111122223333:log-group:/pgbackup/nightly", "arn:aws:ecr:us-east-1:111122223333:repository/postgres"),
		"replication": iampolicy.ForReplication(iampolicy.Replication{
			Source: "acme-pg-backups", SourceRegion: "us-east-1", SourceKMSKey: "arn:aws:kms:us-east-1:111122223333:key/1", Prefix: "prod",
			Replica: "acme-pg-backups-dr", ReplicaRegion: "eu-west-1", ReplicaKMSKey: "arn:aws:kms:eu-west-1:111122223333:key/3", ObjectLock: true,
		}),
		"replication_plain": iampolicy.ForReplication(iampolicy.Replication{Source: "a", SourceRegion: "us-east-1", Replica: "b", ReplicaRegion: "eu-west-1"}),
	}
	for _, kind := range job.Kinds() {
		d[kind] = forJob(t, jobOf(job.Kind(kind)), deploy.Fargate, facts())
	}
	j, f := full()
	d["logical_full"] = forJob(t, j, deploy.Fargate, f)
	rotate := jobOf(job.KindRotate)
	rotate.Repository = "s3://acme-pg-backups"
	d["rotate_lambda"] = forJob(t, rotate, deploy.Lambda, f)
	cluster := jobOf(job.KindRDSSnapshot)
	cluster.RDSSnapshot = &job.RDSSnapshot{Cluster: "aurora", Region: "eu-west-1"}
	replica := jobOf(job.KindDrill)
	replica.Replica, replica.Drill.From, replica.Drill.Archived = "s3://acme-pg-backups-dr/prod?region=eu-west-1", job.FromReplica, true
	d["drill_replica"] = forJob(t, replica, deploy.Fargate, f)
	servers := jobOf(job.KindDrill)
	servers.Drill.Kind = string(job.KindPhysical)
	d["drill_physical"] = forJob(t, servers, deploy.Fargate, facts())
	servers.Replica, servers.Drill.From = replica.Replica, job.FromReplica
	d["drill_physical_replica"] = forJob(t, servers, deploy.Fargate, facts())
	d["drill_instance"] = forJob(t, drillOfSnapshots(), deploy.Fargate, facts())
	push := jobOf(job.KindWAL)
	push.WAL = &job.WAL{Mode: job.WALPush}
	d["wal_push"] = forJob(t, push, deploy.Host, facts())
	locked := facts()
	locked.ObjectLock = true
	d["wal_locked"], d["physical_locked"] = forJob(t, jobOf(job.KindWAL), deploy.Kubernetes, locked), forJob(t, jobOf(job.KindPhysical), deploy.Host, locked)
	d["rds_snapshot_cluster"] = forJob(t, cluster, deploy.Lambda, f)
	return d
}

func forJob(t *testing.T, j job.Job, target string, f iampolicy.Facts) iampolicy.Document {
	t.Helper()
	d, err := iampolicy.ForJob(j, target, f)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestPoliciesAreTheGoldenOnes(t *testing.T) {
	for name, d := range documents(t) {
		file := filepath.Join("testdata", name+".golden.json")
		got := d.Indented() + "\n"
		if *update {
			if err := os.WriteFile(file, []byte(got), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), got); diff != "" {
			t.Errorf("%s differs (-golden +rendered):\n%s", name, diff)
		}
	}
}

// A managed policy may have 6,144 characters.
// Source: IAM User Guide, "IAM and AWS STS quotas".
func TestPoliciesAreReadBackAndFitIntoAManagedPolicy(t *testing.T) {
	t.Parallel()
	for name, d := range documents(t) {
		again, err := iampolicy.Parse(d.JSON())
		if err != nil || !iampolicy.Same(again.JSON(), d.JSON()) {
			t.Errorf("%s is not read back: %v", name, err)
		}
		if n := len(d.JSON()); n > 6144 {
			t.Errorf("%s has %d characters", name, n)
		}
		seen := map[string]bool{}
		for _, s := range d.Statements {
			if s.Sid != "" && seen[s.Sid] {
				t.Errorf("%s: Sid %s is there twice, which IAM refuses", name, s.Sid)
			}
			seen[s.Sid] = true
			if slices.Contains(s.Actions, "*") || slices.ContainsFunc(s.Actions, func(a string) bool { return strings.HasSuffix(a, "*") }) {
				t.Errorf("%s: %s allows whatever AWS will think of: %v", name, s.Sid, s.Actions)
			}
		}
	}
}

func TestTheTargetsAreThoseOfRunOn(t *testing.T) {
	t.Parallel()
	if diff := cmp.Diff([]string{deploy.Fargate, deploy.Lambda, deploy.Host, deploy.Kubernetes, deploy.GitHub}, iampolicy.Targets()); diff != "" {
		t.Error(diff)
	}
}

// Who gets hold of a job must not be able to plant a program, another job, a key or
// a policy for those that run later.
func TestNoJobMayWriteWhatOtherJobsTrust(t *testing.T) {
	t.Parallel()
	for _, kind := range job.Kinds() {
		for _, target := range iampolicy.Targets() {
			for _, s := range forJob(t, jobOf(job.Kind(kind)), target, facts()).Statements {
				if !slices.Contains(s.Actions, "s3:PutObject") && !slices.Contains(s.Actions, "s3:DeleteObject") {
					continue
				}
				for _, resource := range s.Resources {
					rest, ok := strings.CutPrefix(resource, "arn:aws:s3:::acme-pg-backups/prod/")
					family, _, below := strings.Cut(rest, "/")
					if !ok || !below || slices.Contains([]string{"runner", "jobs", "keys", "policies", "holds", "protection"}, family) {
						t.Errorf("%s on %s may do %v on %s", kind, target, s.Actions, resource)
					}
				}
			}
		}
	}
}

// A database's host that is taken over must not take its archive along: what was
// archived goes by rotation, which is of those who make base backups.
func TestWhoArchivesWALDeletesNothingButThePiecesOfAReceiver(t *testing.T) {
	t.Parallel()
	push := jobOf(job.KindWAL)
	push.WAL = &job.WAL{Mode: job.WALPush}
	unrotated := jobOf(job.KindPhysical)
	unrotated.Rotate = new(bool)
	for name, c := range map[string]struct {
		job  job.Job
		want []string
	}{
		"receive":           {jobOf(job.KindWAL), []string{"wal/*.piece-*"}},
		"push":              {push, nil},
		"physical":          {jobOf(job.KindPhysical), []string{"wal/*"}},
		"physical, no rule": {unrotated, nil},
		"rotate":            {jobOf(job.KindRotate), []string{"wal/*"}},
		"logical":           {jobOf(job.KindLogical), nil},
		"verify":            {jobOf(job.KindVerify), nil},
	} {
		var got []string
		for _, s := range forJob(t, c.job, deploy.Host, facts()).Statements {
			for _, resource := range s.Resources {
				if family := strings.TrimPrefix(resource, "arn:aws:s3:::acme-pg-backups/prod/"); slices.Contains(s.Actions, "s3:DeleteObject") && strings.HasPrefix(family, "wal/") {
					got = append(got, family)
				}
			}
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s may delete %q of WAL, want %q", name, got, c.want)
		}
	}
}

func TestADrillThatRecoversToAMomentReadsTheWALWhereItReadsThePoints(t *testing.T) {
	t.Parallel()
	j := jobOf(job.KindDrill)
	j.Replica = "s3://acme-pg-backups-dr/prod?region=eu-west-1"
	for _, kind := range []job.Kind{job.KindLogical, job.KindPhysical} {
		for from, want := range map[string]string{job.FromPrimary: "acme-pg-backups", job.FromReplica: "acme-pg-backups-dr"} {
			j.Drill.Kind, j.Drill.From = string(kind), from
			var got []string
			for _, s := range forJob(t, j, deploy.Fargate, facts()).Statements {
				for _, resource := range s.Resources {
					if bucket, ok := strings.CutSuffix(resource, "/prod/wal/*"); ok && slices.Equal(s.Actions, []string{"s3:GetObject"}) {
						got = append(got, strings.TrimPrefix(bucket, "arn:aws:s3:::"))
					}
				}
			}
			if kind == job.KindLogical {
				want = ""
			}
			if strings.Join(got, " ") != want {
				t.Errorf("a drill of %s backups from the %s reads WAL of %q, want %q", kind, from, got, want)
			}
		}
	}
}

func TestADrillOfTheReplicaReadsItAndWritesWhatItFoundToThePrimary(t *testing.T) {
	t.Parallel()
	j := jobOf(job.KindDrill)
	j.Drill.From, j.Replica = job.FromReplica, "s3://acme-pg-backups-dr/prod?region=eu-west-1"
	for _, s := range forJob(t, j, deploy.Fargate, facts()).Statements {
		for _, resource := range s.Resources {
			ofReplica := strings.Contains(resource, "acme-pg-backups-dr")
			if ofReplica && (slices.Contains(s.Actions, "s3:PutObject") || slices.Contains(s.Actions, "s3:RestoreObject")) {
				t.Errorf("%s writes to the replica: %v", s.Sid, s.Actions)
			}
			if !ofReplica && strings.HasSuffix(resource, "/points/*") {
				t.Errorf("%s reads the primary's points: %v", s.Sid, s.Actions)
			}
		}
	}
	j.Replica = ""
	if _, err := iampolicy.ForJob(j, deploy.Fargate, facts()); err == nil || !strings.Contains(err.Error(), "replica is missing") {
		t.Errorf("without a replica: %v", err)
	}
}

func TestReferencesBecomeExactlyTheSecretsTheyName(t *testing.T) {
	t.Parallel()
	for reference, want := range map[string]string{
		"secretsmanager:acme/db#password":                                           "arn:aws:secretsmanager:us-east-1:111122223333:secret:acme/db-??????",
		"secretsmanager:arn:aws:secretsmanager:eu-west-1:111122223333:secret:my-db": "arn:aws:secretsmanager:eu-west-1:111122223333:secret:my-db-??????",
		"secretsmanager:arn:aws:secretsmanager:eu-west-1:111122223333:secret:db-AbCdEf": "arn:aws:secretsmanager:eu-west-1:111122223333:secret:db-AbCdEf " +
			"arn:aws:secretsmanager:eu-west-1:111122223333:secret:db-AbCdEf-??????",
		"ssm:/acme/db": "arn:aws:ssm:us-east-1:111122223333:parameter/acme/db",
		"ssm:plain":    "arn:aws:ssm:us-east-1:111122223333:parameter/plain",
		"env:PASSWORD": "",
		"file:/secret": "",
	} {
		j := jobOf(job.KindLogical)
		j.Logical.Server.PasswordRef = ref(reference)
		var got []string
		for _, s := range forJob(t, j, deploy.Fargate, facts()).Statements {
			if s.Sid == "ReadSecrets" || s.Sid == "ReadParameters" {
				got = append(got, s.Resources...)
			}
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%s: %q", reference, got)
		}
	}
}

func TestAKeyIsBoundToItsRepositoryAndAnAliasToItsKey(t *testing.T) {
	t.Parallel()
	j := jobOf(job.KindVerify)
	j.KeyRef = ref("kms:arn:aws:kms:us-east-1:111122223333:key/abc")
	f := facts()
	f.RepositoryID = "r-1"
	s := sid(t, forJob(t, j, deploy.Fargate, f), "UnwrapRepositoryKey")
	if diff := cmp.Diff(map[string]map[string][]string{"StringEquals": {"kms:EncryptionContext:pgbackup:repository": {"r-1"}}}, s.Conditions); diff != "" || s.Resources[0] != "arn:aws:kms:us-east-1:111122223333:key/abc" {
		t.Errorf("%v %s", s.Resources, diff)
	}
	j.KeyRef = ref("kms:arn:aws:kms:us-east-1:111122223333:alias/pg")
	s = sid(t, forJob(t, j, deploy.Fargate, f), "UnwrapRepositoryKey")
	if s.Resources[0] != "arn:aws:kms:us-east-1:111122223333:key/*" || s.Conditions["ForAnyValue:StringEquals"]["kms:ResourceAliases"][0] != "alias/pg" {
		t.Errorf("%v %v", s.Resources, s.Conditions)
	}
}

func sid(t *testing.T, d iampolicy.Document, sid string) iampolicy.Statement {
	t.Helper()
	for _, s := range d.Statements {
		if s.Sid == sid {
			return s
		}
	}
	t.Fatalf("no statement %s in %s", sid, d.Indented())
	return iampolicy.Statement{}
}

func TestARepositoryInADirectoryNeedsNothingOfS3(t *testing.T) {
	t.Parallel()
	j := jobOf(job.KindFiles)
	j.Repository = "file:///var/backups/pg"
	if d := forJob(t, j, deploy.Host, facts()); len(d.Statements) != 0 {
		t.Error(d.Indented())
	}
}

func TestWithoutTheFactsThereIsNoPolicy(t *testing.T) {
	t.Parallel()
	for want, change := range map[string]func(*job.Job, *iampolicy.Facts){
		`account "": twelve digits`:   func(_ *job.Job, f *iampolicy.Facts) { f.Account = "" },
		"the region is not known":     func(_ *job.Job, f *iampolicy.Facts) { f.Region = "" },
		`there is no kind "dump"`:     func(j *job.Job, _ *iampolicy.Facts) { j.Kind = "dump" },
		"repository is missing":       func(j *job.Job, _ *iampolicy.Facts) { j.Repository = "" },
		"key_ref: \"arn:aws:s3:::b\"": func(j *job.Job, _ *iampolicy.Facts) { j.KeyRef = ref("kms:arn:aws:s3:::b") },
	} {
		j, f := jobOf(job.KindRotate), facts()
		change(&j, &f)
		if _, err := iampolicy.ForJob(j, deploy.Lambda, f); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
	if _, err := iampolicy.ForJob(jobOf(job.KindRotate), "cron", facts()); err == nil || !strings.Contains(err.Error(), `no target "cron"`) {
		t.Errorf("a target that is none: %v", err)
	}
}

// RDS takes no '%' or quotes in tags; package rds replaces them and puts a digest
// behind, which a policy can only match by its pattern.
func TestATagThatCannotHoldTheRepositorysNameIsMatchedByItsPattern(t *testing.T) {
	t.Parallel()
	j := jobOf(job.KindRDSSnapshot)
	j.Repository = "s3://acme-pg-backups/it's%20prod"
	s := sid(t, forJob(t, j, deploy.Lambda, facts()), "DeleteSnapshots")
	got := s.Conditions["StringLike"]["aws:ResourceTag/pgbackup:repository"]
	if len(got) != 1 || got[0] != "s3://acme-pg-backups/it?27s?20prod+*" {
		t.Errorf("%v", s.Conditions)
	}
}

func TestAPrefixIsNeverAWildcard(t *testing.T) {
	t.Parallel()
	j := jobOf(job.KindVerify)
	j.Repository = (job.RepositoryURL{Bucket: "acme-pg-backups", Prefix: "a*b/${aws:username}?"}).String()
	d := forJob(t, j, deploy.Fargate, facts())
	if got := sid(t, d, "WriteRepository").Resources; len(got) != 1 || got[0] != "arn:aws:s3:::acme-pg-backups/a${*}b/${$}{aws:username}${?}/condemned/*" {
		t.Errorf("%q", got)
	}
	if got := sid(t, d, "ListRepository").Conditions["StringLike"]["s3:prefix"]; got[0] != "a${*}b/${$}{aws:username}${?}/*" {
		t.Errorf("%q", got)
	}
}

package main

import (
	"bytes"
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	awsrds "github.com/aws/aws-sdk-go-v2/service/rds"
	rdstypes "github.com/aws/aws-sdk-go-v2/service/rds/types"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	ssmtypes "github.com/aws/aws-sdk-go-v2/service/ssm/types"
	"github.com/aws/smithy-go/middleware"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/drillreport"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/duration"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/exitcode"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/iampolicy"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/job"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/location"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/metric"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/policy"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/secret"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/secretref"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/testenv"
)

// cloud is what jobs meet: S3 by a server that keeps bytes, versions and locks,
// everything else of AWS by the emulator.
type cloud struct {
	t    *testing.T
	s3   *testenv.S3Server // its bucket is versioned; there is another one, "locked"
	pg   *testenv.PostgresServer
	cfg  aws.Config
	key  string // ARN of a KMS key
	told int    // how often a notification arrived
}

const (
	account     = "123456789012" // the emulator's
	sourceName  = "shop"
	lockedPoint = "locked"
)

func newCloud(t *testing.T) *cloud {
	t.Helper()
	moto := testenv.AWS(t)
	c := &cloud{t: t, s3: testenv.S3(t, testenv.S3Versioned()), pg: testenv.Postgres(t)}
	c.cfg = aws.Config{
		Region: moto.Region, BaseEndpoint: &moto.Endpoint,
		Credentials: credentials.NewStaticCredentialsProvider(c.s3.AccessKey, c.s3.SecretKey, ""),
	}
	hook := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { c.told++ }))
	t.Cleanup(hook.Close)
	ctx := t.Context()
	made, err := kms.NewFromConfig(c.cfg).CreateKey(ctx, &kms.CreateKeyInput{})
	c.check(err)
	c.key = *made.KeyMetadata.Arn
	_, err = secretsmanager.NewFromConfig(c.cfg).CreateSecret(ctx, &secretsmanager.CreateSecretInput{Name: aws.String("acme/hook"), SecretString: &hook.URL})
	c.check(err)
	_, err = secretsmanager.NewFromConfig(c.cfg).CreateSecret(ctx, &secretsmanager.CreateSecretInput{Name: aws.String("acme/db"), SecretString: &c.pg.Password})
	c.check(err)
	_, err = ssm.NewFromConfig(c.cfg).PutParameter(ctx, &ssm.PutParameterInput{Name: aws.String("/acme/sign"), Value: aws.String("geheim"), Type: ssmtypes.ParameterTypeSecureString})
	c.check(err)
	_, err = c.s3.Client().CreateBucket(ctx, &awss3.CreateBucketInput{Bucket: aws.String(lockedPoint), ObjectLockEnabledForBucket: aws.Bool(true)})
	c.check(err)
	databases := awsrds.NewFromConfig(c.cfg)
	_, err = databases.CreateDBParameterGroup(ctx, &awsrds.CreateDBParameterGroupInput{DBParameterGroupName: aws.String("tuned"), DBParameterGroupFamily: aws.String("postgres17"), Description: aws.String("of the shop")})
	c.check(err)
	_, err = databases.ModifyDBParameterGroup(ctx, &awsrds.ModifyDBParameterGroupInput{DBParameterGroupName: aws.String("tuned"), Parameters: []rdstypes.Parameter{
		{ParameterName: aws.String("work_mem"), ParameterValue: aws.String("65536"), ApplyMethod: rdstypes.ApplyMethodImmediate}}})
	c.check(err)
	_, err = databases.CreateDBInstance(ctx, &awsrds.CreateDBInstanceInput{DBInstanceIdentifier: aws.String("shop"), DBParameterGroupName: aws.String("tuned"), DBInstanceClass: aws.String("db.t3.micro"), Engine: aws.String("postgres"), AllocatedStorage: aws.Int32(20)})
	c.check(err)
	_, err = databases.CreateDBCluster(ctx, &awsrds.CreateDBClusterInput{DBClusterIdentifier: aws.String("aurora"), Engine: aws.String("aurora-postgresql"), MasterUsername: aws.String("app"), MasterUserPassword: aws.String("not-a-secret")})
	c.check(err)
	return c
}

func (c *cloud) check(err error) {
	c.t.Helper()
	if err != nil {
		c.t.Fatal(err)
	}
}

// run is the runner with calls to the cloud, which rec writes down; nil does not.
func (c *cloud) run(rec *recorder, args ...string) {
	c.t.Helper()
	c.runUntil(c.t.Context(), rec, args...)
}

// runUntil is run of what is stopped by the end of a context.
func (c *cloud) runUntil(ctx context.Context, rec *recorder, args ...string) {
	c.t.Helper()
	var out bytes.Buffer
	a := newApp(streams{in: strings.NewReader(""), out: &out, err: &out})
	a.awsOptions = []func(*config.LoadOptions) error{
		config.WithRegion(c.cfg.Region), config.WithBaseEndpoint(*c.cfg.BaseEndpoint), config.WithCredentialsProvider(c.cfg.Credentials),
	}
	if rec != nil {
		a.awsOptions = append(a.awsOptions, config.WithAPIOptions([]func(*middleware.Stack) error{rec.record}))
	}
	code := a.run(ctx, args)
	fine := []exitcode.Code{exitcode.Done, exitcode.Warnings}
	if args[0] == "verify" || args[0] == "drill" {
		fine = append(fine, exitcode.BadBackup) // the verdict that it is there for
	}
	if !slices.Contains(fine, code) {
		c.t.Errorf("%v ended with %d:\n%s", args, code, out.String())
		if ctx == c.t.Context() {
			c.t.FailNow()
		}
	}
}

// complete is a job of a kind with everything around it that needs a permission.
func (c *cloud) complete(j job.Job, bucket string) job.Job {
	ref := func(scheme, value string) secretref.Ref { return secretref.Ref{Scheme: scheme, Value: value} }
	j.Format, j.Name, j.Policy, j.Metrics = job.Format, "it", "prod", job.MetricsCloudWatch
	if j.Kind.MakesPoints() {
		j.Source = sourceName
	}
	j.Repository = job.RepositoryURL{Bucket: bucket, Prefix: strings.ReplaceAll(c.t.Name(), "/", "-"), Region: c.cfg.Region, Endpoint: c.s3.Endpoint}.String()
	j.KeyRef = ref(secretref.KMS, c.key)
	j.Notify = []job.Notification{{Channel: job.ChannelWebhook, URLRef: ref(secretref.SecretsManager, "acme/hook"), SecretRef: ref(secretref.SSM, "/acme/sign")}}
	return j
}

// file writes a job where the runner finds it.
func (c *cloud) file(j job.Job) string {
	c.t.Helper()
	data, err := j.Encode()
	c.check(err)
	name := filepath.Join(c.t.TempDir(), "job.json")
	c.check(os.WriteFile(name, data, 0o600))
	return name
}

// repository is made as a user would, with a policy that deletes, moves points
// between tiers, and has something to do: old points, and what dead runs left.
func (c *cloud) repository(j job.Job) *repo.Repository {
	c.t.Helper()
	c.run(nil, "init", "--repository", j.Repository, "--key", j.KeyRef.String())
	at, err := location.Parse(j.Repository)
	c.check(err)
	ctx := c.t.Context()
	store, err := location.Open(ctx, at, location.OpenOptions{AWS: &c.cfg})
	c.check(err)
	source := secret.Source{AWS: func(context.Context, string) (aws.Config, error) { return c.cfg, nil }}
	r, err := repo.Open(ctx, store, repo.OpenOptions{Key: source.KeySource(j.KeyRef.String(), nil)})
	c.check(err)
	document, err := policy.Parse([]byte(`{"format":1,"name":"prod","retention":{"keep_daily":1,"keep_yearly":1},"storage":{"transitions":[{"after":"90d","class":"GLACIER","tiers":["yearly"]}]}}`))
	c.check(err)
	_, err = r.PutPolicyRevision(ctx, 0, document, policy.Envelope{At: time.Now(), By: "a test", Loss: &policy.Loss{To: document.Digest()}})
	c.check(err)
	// Whatever runs tells how long ago a drill proved a backup.
	begun := time.Now().Add(-time.Hour)
	c.check(r.PutDrillReport(ctx, drillreport.Report{
		Format: drillreport.Format, ID: repo.NewID(begun), Drill: "weekly", Repository: r.ID(), Policy: "prod", Start: begun, End: begun,
		Outcome: drillreport.Proven, Point: drillreport.Point{Source: sourceName},
	}))
	return r
}

// point commits a small recovery point of so many days ago.
func (c *cloud) point(r *repo.Repository, kind job.Kind, days int) repo.Ref {
	c.t.Helper()
	p := c.began(r, kind, days)
	c.check(p.Commit(c.t.Context(), &repo.Manifest{End: time.Now().Add(-24 * time.Hour * time.Duration(days)), Policy: "prod", PolicyRevision: 1}))
	return p.Ref()
}

// began is a point whose run died before it was complete.
func (c *cloud) began(r *repo.Repository, kind job.Kind, days int) *repo.PointWriter {
	c.t.Helper()
	source := sourceName
	if kind == job.KindLogical {
		source = "postgres@" + source // the database too
	}
	p, err := r.NewPoint(source, string(kind), time.Now().Add(-24*time.Hour*time.Duration(days)), repo.WriterOptions{})
	c.check(err)
	c.check(p.WriteStream(c.t.Context(), "archive", []byte("what was backed up")))
	return p
}

// litter is an upload that nobody finished.
func (c *cloud) litter(j job.Job, ref repo.Ref) {
	c.t.Helper()
	at, err := job.ParseRepository(j.Repository)
	c.check(err)
	_, err = c.s3.Client().CreateMultipartUpload(c.t.Context(), &awss3.CreateMultipartUploadInput{Bucket: &at.Bucket, Key: aws.String(at.Prefix + "/" + ref.DataPrefix() + "more")})
	c.check(err)
}

// removeForGood takes the data of a point away, versions and all.
func (c *cloud) removeForGood(j job.Job, ref repo.Ref) {
	c.t.Helper()
	at, err := job.ParseRepository(j.Repository)
	c.check(err)
	client, ctx := c.s3.Client(), c.t.Context()
	out, err := client.ListObjectVersions(ctx, &awss3.ListObjectVersionsInput{Bucket: &at.Bucket, Prefix: aws.String(at.Prefix + "/" + ref.DataPrefix())})
	c.check(err)
	for _, v := range out.Versions {
		_, err := client.DeleteObject(ctx, &awss3.DeleteObjectInput{Bucket: &at.Bucket, Key: v.Key, VersionId: v.VersionId, BypassGovernanceRetention: aws.Bool(true)})
		c.check(err)
	}
}

// almostOver makes the lock of the repository's own file one that ends soon, as it
// does with time.
func (c *cloud) almostOver(j job.Job) {
	c.t.Helper()
	at, err := job.ParseRepository(j.Repository)
	c.check(err)
	_, err = c.s3.Client().PutObjectRetention(c.t.Context(), &awss3.PutObjectRetentionInput{
		Bucket: &at.Bucket, Key: aws.String(at.Prefix + "/repository.json"), BypassGovernanceRetention: aws.Bool(true),
		Retention: &s3types.ObjectLockRetention{Mode: s3types.ObjectLockRetentionModeGovernance, RetainUntilDate: aws.Time(time.Now().Add(time.Minute))},
	})
	c.check(err)
}

func (c *cloud) server() job.Server {
	return job.Server{Host: c.pg.Host, Port: c.pg.Port, User: c.pg.User, SSLMode: "disable", PasswordRef: secretref.Ref{Scheme: secretref.SecretsManager, Value: "acme/db"}}
}

// jobsOfAllKinds are the jobs whose policies are held against what they do.
func (c *cloud) jobsOfAllKinds(t *testing.T) map[string]job.Job {
	folder := t.TempDir()
	day, err := duration.Parse("1d")
	c.check(err)
	c.check(os.WriteFile(filepath.Join(folder, "postgresql.conf"), []byte("port = 5432\n"), 0o600))
	server := c.server()
	return map[string]job.Job{
		"logical":              {Kind: job.KindLogical, Logical: &job.Logical{Databases: []string{"postgres"}, Server: server}},
		"globals":              {Kind: job.KindGlobals, Globals: &job.Globals{Server: server}},
		"config":               {Kind: job.KindConfig, Config: &job.Config{Directory: folder}},
		"config_instance":      {Kind: job.KindConfig, Config: &job.Config{RDSInstance: "shop"}},
		"files":                {Kind: job.KindFiles, Files: &job.Files{Paths: []string{folder}}},
		"command":              {Kind: job.KindCommand, Command: &job.Command{Argv: []string{"echo", "output"}}},
		"rds_snapshot":         {Kind: job.KindRDSSnapshot, RDSSnapshot: &job.RDSSnapshot{Instance: "shop"}},
		"rds_snapshot_cluster": {Kind: job.KindRDSSnapshot, RDSSnapshot: &job.RDSSnapshot{Cluster: "aurora"}},
		"rotate":               {Kind: job.KindRotate},
		"verify":               {Kind: job.KindVerify},
		"drill": {Kind: job.KindDrill, Drill: &job.Drill{
			Into:   job.DrillInto{ScratchCluster: &job.ScratchCluster{}},
			Checks: []job.DrillCheck{{Name: "what is not so", SQL: "select false"}},
		}},
		"freshness": {Kind: job.KindFreshness, Freshness: &job.Freshness{MaxAge: day}},
	}
}

// play runs a job in the worst case, twice, and returns what IAM was asked.
func (c *cloud) play(j job.Job, locked bool) *recorder {
	c.t.Helper()
	r := c.repository(j)
	points := j.Kind
	if !j.Kind.MakesPoints() {
		points = job.KindFiles
	}
	if j.Kind != job.KindFreshness && j.Kind != job.KindRDSSnapshot && j.Kind != job.KindDrill {
		c.point(r, points, 401)
		if j.Kind == job.KindRotate {
			c.run(nil, "rotate", "--job", c.file(j)) // what will be deleted is in a tier then
		}
		old := c.point(r, points, 400)
		if j.Kind == job.KindVerify {
			c.removeForGood(j, old)
		}
	}
	if j.Kind != job.KindFreshness {
		c.litter(j, c.began(r, points, 402).Ref())
	}
	if j.Kind == job.KindRotate || j.Kind == job.KindVerify {
		for _, snapshot := range []job.RDSSnapshot{{Instance: "shop"}, {Cluster: "aurora"}} {
			taken := j
			taken.Kind, taken.RDSSnapshot, taken.Source = job.KindRDSSnapshot, &snapshot, ""
			no := false
			taken.Rotate = &no
			for range 2 {
				c.run(nil, "backup", "--job", c.file(taken))
			}
		}
	}
	if j.Kind == job.KindDrill { // of a backup that it finds bad, twice
		taken := j
		taken.Kind, taken.Drill, taken.Source = job.KindLogical, nil, sourceName
		taken.Logical = &job.Logical{Databases: []string{"postgres"}, Server: c.server()}
		keep := false
		taken.Rotate = &keep
		for range 2 {
			c.run(nil, "backup", "--job", c.file(taken))
		}
	}
	if j.Kind == job.KindRotate {
		c.archived(r, sourceName)
	}
	if locked {
		c.check(r.SetProtection(c.t.Context(), repo.Protection{Mode: "GOVERNANCE", Days: 1}, time.Now(), "a test"))
		c.almostOver(j)
	}
	if j.Kind == job.KindFreshness {
		c.point(r, points, 0)
	}
	at, err := job.ParseRepository(j.Repository)
	c.check(err)
	rec := &recorder{account: account, region: c.cfg.Region, repository: metric.Repository(at)}
	for range 2 {
		// Of two points that begin in the same second it is chance which is the newer.
		time.Sleep(time.Until(time.Now().Truncate(time.Second).Add(time.Second)))
		c.run(rec, append(j.Kind.Words(), "--job", c.file(j))...)
	}
	return rec
}

// exactly plays a job with locks and without, and holds what it asked of IAM against
// its policy: nothing that is not allowed, and nothing allowed that is not asked.
func (c *cloud) exactly(t *testing.T, body job.Job, target string, play func(here *cloud, j job.Job, locked bool) *recorder) {
	t.Helper()
	used := map[string]bool{}
	var allowed []string
	for bucket, locked := range map[string]bool{c.s3.Bucket: false, lockedPoint: true} {
		here := *c
		here.t = t
		j := here.complete(body, bucket)
		if j.Receives() {
			j.Notify, j.Metrics = nil, "" // nobody is told of its end, and its numbers take a minute
		}
		d, err := iampolicy.ForJob(j, target, iampolicy.Facts{Account: account, Region: c.cfg.Region, ObjectLock: locked})
		here.check(err)
		rec := play(&here, j, locked)
		for _, call := range rec.strange {
			t.Errorf("this test does not know the call %s: say in permissions_test.go which permission it needs", call)
		}
		for _, p := range rec.asked {
			grant, ok := allowing(d, p)
			if !ok {
				t.Errorf("with locks %v the policy does not allow what the job did: %s", locked, p)
			}
			used[grant] = true
		}
		allowed = append(allowed, grants(d)...)
	}
	slices.Sort(allowed)
	for _, a := range slices.Compact(allowed) {
		if body.Receives() && strings.HasPrefix(a, "AbortUploads") {
			continue // of a segment that fails in the middle, which no run here has
		}
		if !used[a] {
			t.Errorf("the policy allows what no run of the job did: %s", a)
		}
	}
}

func TestAJobNeedsExactlyWhatItsPolicyAllows(t *testing.T) {
	c := newCloud(t)
	for name, body := range c.jobsOfAllKinds(t) {
		t.Run(name, func(t *testing.T) {
			c.exactly(t, body, "fargate", func(here *cloud, j job.Job, locked bool) *recorder { return here.play(j, locked) })
		})
	}
	if c.told == 0 {
		t.Error("nobody was told of a run: did the references reach the webhook?")
	}
}

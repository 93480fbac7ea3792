package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/exitcode"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/job"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/location"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/testenv"
)

func bucketURL(bucket, endpoint, region string) string {
	return "s3://" + bucket + "/prod?" + url.Values{"endpoint": {endpoint}, "region": {region}}.Encode()
}

// copyTo brings a copy up to date, as replication does: every object, under its key.
func (p *place) copyTo(to string) objstore.Store {
	p.t.Helper()
	at, err := location.Parse(to)
	if err != nil {
		p.t.Fatal(err)
	}
	cfg := aws.Config{Region: at.Region, Credentials: credentials.NewStaticCredentialsProvider(p.s3.AccessKey, p.s3.SecretKey, "")}
	store, err := location.Open(p.t.Context(), at, location.OpenOptions{AWS: &cfg})
	if err != nil {
		p.t.Fatal(err)
	}
	from := p.repo.Store()
	for info, err := range from.List(p.t.Context(), "") {
		if err != nil {
			p.t.Fatal(err)
		}
		body, _, err := from.Get(p.t.Context(), info.Key, objstore.GetOptions{})
		if err != nil {
			p.t.Fatal(err)
		}
		data, err := io.ReadAll(body)
		_ = body.Close()
		if err == nil {
			_, err = store.Put(p.t.Context(), info.Key, data, objstore.PutOptions{})
		}
		if err != nil {
			p.t.Fatal(err)
		}
	}
	return store
}

// replicated is a place on a server that can be cut off, and the URL of its copy on
// another one.
func replicated(t *testing.T) (p *place, cut func(), replica string) {
	t.Helper()
	srv := testenv.S3(t, testenv.S3Versioned())
	proxy := testenv.Faulty(t, strings.TrimPrefix(srv.Endpoint, "http://"))
	other := testenv.S3(t, testenv.S3Versioned(), testenv.S3Like(srv), testenv.S3In("eu-west-1"))
	srv.Endpoint = "http://" + proxy.Addr()
	p = newPlace(t, bucketURL(srv.Bucket, srv.Endpoint, "us-east-1"), srv)
	return p, proxy.Cut, bucketURL(other.Bucket, other.Endpoint, "eu-west-1")
}

func TestARepositoryWhoseRegionIsGoneIsReadFromItsReplica(t *testing.T) {
	t.Parallel()
	p, cut, replica := replicated(t)
	ctx := t.Context()
	old := p.output("report", "what was copied in time", 3*time.Hour)
	p.copyTo(replica)
	late := p.output("report", "what was not", time.Hour)
	j := p.job(job.KindVerify)
	j.Replica = replica
	file := p.file(j)

	p.invoke(ctx, "cat", "latest", "--job", file, "--source", "report", "--kind", "command").wants(t, exitcode.Done, "what was not")
	p.invoke(ctx, "cat", "latest", "--job", file, "--source", "report", "--kind", "command", "--from", "replica").wants(t, exitcode.Done, "what was copied in time",
		"reading from the replica "+replica, "its newest point is of "+stamp(old.Start), "that of the repository of "+stamp(late.Start)+", 2h00m later", late.Ref().String()+" not in it")
	p.invoke(ctx, "list", "--repository", p.url, "--replica", p.url, "--from", "replica").wants(t, exitcode.Usage, "are the same place")
	p.invoke(ctx, "hold", old.ID, "--job", file, "--from", "replica").wants(t, exitcode.Usage, "a copy is only read")
	p.invoke(ctx, "list", "--job", file, "--from", "replika").wants(t, exitcode.Usage, `did you mean "replica"`)

	cut()
	cat := []string{"cat", "latest", "--job", file, "--source", "report", "--kind", "command"}
	p.invoke(ctx, cat...).wants(t, exitcode.Failed, "to read its replica at "+replica+": `pgbackup-runner "+strings.Join(cat, " ")+" --from replica`")
	p.invoke(ctx, "list", "--repository", p.url).wants(t, exitcode.Failed, "if it has a replica: `pgbackup-runner list", "--from replica --replica 's3://BUCKET/PREFIX?region=REGION'`")
	for _, there := range [][]string{{"--from", "replica"}, {"--region", "eu-west-1"}} {
		p.invoke(ctx, append(cat, there...)...).wants(t, exitcode.Done, "what was copied in time",
			"the repository itself does not answer. The newest point there is of "+stamp(old.Start)+", 3h00m old; what was written later is not in it")
	}
	p.invoke(ctx, "verify", "--repository", p.url, "--replica", replica, "--from", "replica").wants(t, exitcode.Done, "1 recovery point is good")
}

func TestWhatIsBadOrMissingInAReplicaIsToldAndCondemnsNothing(t *testing.T) {
	t.Parallel()
	p, _, replica := replicated(t)
	ctx := t.Context()
	bad := p.output("bad", "of which a bit flips", 3*time.Hour)
	old := p.output("report", "what is whole", 3*time.Hour)
	lagging := p.output("report", "of which the data comes later", time.Hour)
	store := p.copyTo(replica)
	if err := store.Delete(ctx, lagging.Ref().DataPrefix()+lagging.Objects[0].Name); err != nil {
		t.Fatal(err)
	}
	if _, err := store.Put(ctx, bad.Ref().DataPrefix()+bad.Objects[0].Name, bytes.Repeat([]byte{7}, int(bad.Objects[0].Size)), objstore.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	from := []string{"--repository", p.url, "--replica", replica, "--from", "replica"}
	p.invoke(ctx, append([]string{"cat", "latest", "--source", "report"}, from...)...).wants(t, exitcode.Done, "what is whole",
		"the newest recovery point can not be read, taking the one before it", lagging.ID, "is not in this copy, or not yet")
	p.invoke(ctx, append([]string{"cat", lagging.ID}, from...)...).wants(t, exitcode.Failed, "is not in this copy, or not yet")
	p.invoke(ctx, append([]string{"list", "--source", "report"}, from...)...).wants(t, exitcode.Warnings, "is not in this copy, or not yet", old.ID)
	p.invoke(ctx, append([]string{"verify", "--all", "--clear"}, from...)...).wants(t, exitcode.Usage, "a copy is only read")
	p.invoke(ctx, append([]string{"verify", "--all"}, from...)...).wants(t, exitcode.BadBackup, "bad backup: "+bad.ID, "told and not marked")
	for _, where := range []string{p.url, replica} {
		if listed := p.invoke(ctx, "list", "--source", "bad", "--repository", where); strings.Contains(listed.out, "BAD") {
			t.Errorf("%s: it is condemned:\n%s", where, listed.out)
		}
	}
	p.invoke(ctx, "verify", "--source", "bad", "--repository", p.url).wants(t, exitcode.Done, "1 recovery point is good")
}

func TestAnotherRepositoryIsNotTakenForTheReplica(t *testing.T) {
	t.Parallel()
	p := directory(t)
	other := directory(t)
	p.invoke(t.Context(), "list", "--repository", p.url, "--replica", other.url, "--from", "replica").wants(t, exitcode.Failed, "is not a copy of the repository")
	p.invoke(t.Context(), "list", "--repository", p.url, "--from", "replica").wants(t, exitcode.Usage, "give --replica")
}

// The rule is AWS's own form; no server that runs here replicates.
func TestTheReplicationRuleOfTheBucketTellsWhereTheReplicaIs(t *testing.T) {
	t.Parallel()
	rules := `<ReplicationConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Role>r</Role><Rule><Status>Enabled</Status><Filter><Prefix>prod/</Prefix></Filter>` +
		`<Destination><Bucket>arn:aws:s3:::copies</Bucket></Destination></Rule></ReplicationConfiguration>`
	srv := testenv.S3Behind(t, func(objects http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Query().Has("replication") {
				_, _ = fmt.Fprint(w, rules)
				return
			}
			objects.ServeHTTP(w, r)
		})
	})
	if _, err := srv.Client().CreateBucket(t.Context(), &awss3.CreateBucketInput{Bucket: aws.String("copies")}); err != nil {
		t.Fatal(err)
	}
	p := onServer(t, srv)
	p.output("report", "what was copied", time.Hour)
	p.copyTo(bucketURL("copies", srv.Endpoint, "us-east-1"))
	p.invoke(t.Context(), "cat", "latest", "--source", "report", "--repository", p.url, "--from", "replica").wants(t, exitcode.Done,
		"what was copied", "reading from the replica s3://copies/prod?", "it has every point that the repository has")
}

func TestTheOlderVariablesNameTheReplica(t *testing.T) {
	t.Setenv(envSecondaryBucket, "acme-dr")
	t.Setenv(envSecondaryRegion, "eu-west-1")
	primary, err := location.Parse("s3://acme/prod?region=us-east-1&endpoint=https%3A%2F%2Fs3.example.org&path_style=true")
	if err != nil {
		t.Fatal(err)
	}
	a := newApp(streams{out: io.Discard, err: io.Discard})
	for second, want := range map[string]string{
		"acme-dr":                             "s3://acme-dr/prod?endpoint=https%3A%2F%2Fs3.example.org&path_style=true&region=eu-west-1",
		"acme-dr/copies":                      "s3://acme-dr/copies?endpoint=https%3A%2F%2Fs3.example.org&path_style=true&region=eu-west-1",
		"s3://acme-dr/prod?region=ap-south-1": "s3://acme-dr/prod?endpoint=https%3A%2F%2Fs3.example.org&path_style=true&region=ap-south-1",
	} {
		t.Setenv(envSecondaryBucket, second)
		if at, declared, err := a.declaredReplica(primary); err != nil || !declared || at.String() != want {
			t.Errorf("%s: %s, %t, %v; want %s", second, at, declared, err, want)
		}
	}
	a.flags.replica = "s3://given/prod?region=sa-east-1"
	if at, _, err := a.declaredReplica(primary); err != nil || at.Bucket != "given" || at.Region != "sa-east-1" {
		t.Errorf("beside the flag: %s, %v", at, err)
	}
	t.Setenv(envSecondaryBucket, "Not A Bucket")
	a.flags.replica = ""
	if _, _, err := a.declaredReplica(primary); codeOf(err) != exitcode.Usage || !strings.Contains(err.Error(), envSecondaryBucket) {
		t.Errorf("what is no bucket: %v", err)
	}
}

func TestAKeyOfARegionThatIsGoneIsNamedInThatOfTheReplica(t *testing.T) {
	t.Parallel()
	a := newApp(streams{out: io.Discard, err: io.Discard})
	cause := errors.New("asking KMS to open the repository key (arn:aws:kms:us-east-1:111122223333:key/mrk-12ab): no answer")
	if got := a.withKeyRegion(cause); !errors.Is(got, cause) || got.Error() != cause.Error() {
		t.Errorf("of the repository itself: %v", got)
	}
	a.copied = &location.Location{Bucket: "acme-dr", Region: "eu-west-1"}
	for text, want := range map[string]string{
		cause.Error(): "its replica opens what it sealed: --key kms:arn:aws:kms:eu-west-1:111122223333:key/mrk-12ab",
		"asking KMS (arn:aws:kms:us-east-1:111122223333:key/12ab): no answer":                   "exists only there",
		"asking Secrets Manager in us-east-1: no answer":                                        "set AWS_REGION=eu-west-1",
		"secret arn:aws:secretsmanager:us-east-1:111122223333:secret:acme/key-a1B2c: no answer": "name a copy of it in eu-west-1 by --key",
	} {
		if got := a.withKeyRegion(errors.New(text)); !strings.Contains(got.Error(), want) {
			t.Errorf("%v; want %q", got, want)
		}
	}
	for _, text := range []string{"asking KMS (arn:aws:kms:eu-west-1:111122223333:key/mrk-12ab): denied", "wrong key"} {
		if got := a.withKeyRegion(errors.New(text)); got.Error() != text {
			t.Errorf("a key that is where the copy is: %v", got)
		}
	}
}

func TestTheLagOfACopyIsSaidInWords(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 3, 2, 0, 0, 0, time.UTC)
	point := func(hours int) repo.Listed {
		start := now.Add(-time.Duration(hours) * time.Hour)
		return repo.Listed{Ref: repo.Ref{Source: "app", Kind: "logical", ID: start.Format("20060102T150405Z") + "-abcdefgh"}, Start: start}
	}
	for _, c := range []struct {
		here, there []repo.Listed
		answered    bool
		want        string
	}{
		{nil, nil, false, "no recovery points in it, and the repository itself does not answer"},
		{[]repo.Listed{point(5)}, nil, false, "of 2026-03-02 21:00:00Z, 5h00m old; what was written later is not in it"},
		{[]repo.Listed{point(5)}, []repo.Listed{point(5)}, true, "every point that the repository has, the newest of 2026-03-02 21:00:00Z"},
		{nil, nil, true, "it has no recovery points"},
		{nil, []repo.Listed{point(1), point(2)}, true, "none of the 2 points of the repository yet"},
		{[]repo.Listed{point(3)}, []repo.Listed{point(1), point(2), point(3)}, true, "that of the repository of 2026-03-03 01:00:00Z, 2h00m later; app/logical/20260303T010000Z-abcdefgh, app/logical/20260303T000000Z-abcdefgh not in it"},
		{[]repo.Listed{point(1)}, []repo.Listed{point(1), point(2), point(3), point(4), point(5)}, true, "its newest point is that of the repository, of 2026-03-03 01:00:00Z; app/logical/20260303T000000Z-abcdefgh, "},
	} {
		if got := lag(c.here, c.there, c.answered, now); !strings.Contains(got, c.want) {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
}

func TestACommandLineIsToldWithoutItsPasswords(t *testing.T) {
	t.Parallel()
	a := &app{args: []string{"restore", "latest", "--to-database", "postgres://u:hunter2@h/db?sslmode=require", "--database=host=h password=hunter2", "--to-database=postgres://h/db?password=hunter2", "--source", "it's"}}
	got := a.again(map[string]string{"latest": "20260301T020000Z-abcdefgh"}, "--from", "replica")
	if strings.Contains(got, "hunter2") || !strings.HasPrefix(got, "pgbackup-runner restore 20260301T020000Z-abcdefgh --to-database ") || !strings.HasSuffix(got, `--source 'it'\''s' --from replica`) {
		t.Error(got)
	}
}

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/contents"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/exitcode"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/storageclass"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/testenv"
)

// onServer is a place in the bucket of a server.
func onServer(t *testing.T, srv *testenv.S3Server) *place {
	t.Helper()
	return newPlace(t, "s3://"+srv.Bucket+"/prod?"+url.Values{"endpoint": {srv.Endpoint}, "region": {srv.Region}}.Encode(), srv)
}

// output makes a point that holds what a command wrote, so long ago.
func (p *place) output(source, text string, age time.Duration) *repo.Manifest {
	p.t.Helper()
	start := time.Now().Add(-age)
	w, err := p.repo.NewPoint(source, "command", start, repo.WriterOptions{})
	if err == nil {
		err = w.WriteStream(p.t.Context(), contents.StreamOutput, []byte(text))
	}
	if err == nil {
		err = w.Commit(p.t.Context(), &repo.Manifest{End: start.Add(time.Minute), Totals: repo.Totals{Bytes: int64(len(text))}})
	}
	if err != nil {
		p.t.Fatal(err)
	}
	m, err := p.repo.Manifest(p.t.Context(), w.Ref())
	if err != nil {
		p.t.Fatal(err)
	}
	return m
}

// invoked is how an invocation in this process ended.
type invoked struct {
	code     exitcode.Code
	out, log string
}

// invoke runs the program in this process with the credentials of the place.
func (p *place) invoke(ctx context.Context, args ...string) invoked {
	p.t.Helper()
	var out, log bytes.Buffer
	a := newApp(streams{in: strings.NewReader(""), out: &out, err: &log})
	if p.s3 != nil {
		a.awsOptions = []func(*config.LoadOptions) error{
			config.WithCredentialsProvider(credentials.NewStaticCredentialsProvider(p.s3.AccessKey, p.s3.SecretKey, "")), config.WithRegion(p.s3.Region),
		}
	}
	code := a.run(ctx, args)
	return invoked{code, out.String(), log.String()}
}

// wants checks an exit code and what was said.
func (i invoked) wants(t *testing.T, code exitcode.Code, says ...string) {
	t.Helper()
	all := i.out + i.log
	for _, want := range says {
		if !strings.Contains(all, want) {
			t.Errorf("it does not say %q", want)
		}
	}
	if i.code != code || t.Failed() {
		t.Fatalf("exit code %d, want %d:\n%s\n%s", i.code, code, i.out, i.log)
	}
}

func TestAnArchivedPointSaysClassHoursCostAndTheCommandAndIsReadOnceItIsBack(t *testing.T) {
	t.Parallel()
	srv, archive := testenv.S3WithArchive(t, testenv.S3Versioned())
	p, ctx := onServer(t, srv), t.Context()
	m := p.output("report", "what it wrote", time.Hour)
	cat := []string{"cat", "latest", "--repository", p.url}
	p.invoke(ctx, cat...).wants(t, exitcode.Done, "what it wrote")

	archive.Freeze("/points/", storageclass.Glacier)
	archive.Looks(1 << 20)
	told := p.invoke(ctx, cat...)
	told.wants(t, exitcode.Failed, m.Ref().String()+": archived in GLACIER (1 object, ",
		"standard takes 3 to 5 hours, costs under $0.01; expedited takes 1 to 5 minutes, costs $0.01 (--thaw-tier expedited); bulk takes 5 to 12 hours, costs under $0.01 (--thaw-tier bulk)",
		"S3 list prices of us-east-1, 20", "with the copies for 3 days", "`pgbackup-runner cat "+m.ID+" --repository '"+p.url+"' --thaw`")
	if n := len(archive.Asked()); n != 0 {
		t.Fatalf("without --thaw it asked %d times", n)
	}

	// Asked for and left alone; the second time the request is found.
	for range 2 {
		p.invoke(ctx, append(cat, "--thaw", "--thaw-wait", "0", "--thaw-days", "5", "--thaw-tier", "bulk")...).wants(t, exitcode.Failed,
			"asked for, and not waited for: 0 of 1 objects can be read. It takes 5 to 12 hours by the bulk tier", "finds the request and goes on")
	}
	p.invoke(ctx, cat...).wants(t, exitcode.Failed, "asked for and on the way, 0 there", "--thaw` waits for it")
	asked := archive.Asked()
	if len(asked) != 1 || asked[0].Days != 5 || asked[0].Tier != storageclass.TierBulk || asked[0].Version != m.Objects[0].VersionID {
		t.Fatalf("asked for %+v", asked)
	}

	// Stopped while waiting, it says how to go on.
	stopped, stop := context.WithCancelCause(ctx)
	time.AfterFunc(1500*time.Millisecond, func() { stop(interrupted{"interrupt"}) })
	p.invoke(stopped, append(cat, "--thaw")...).wants(t, exitcode.Failed, "still on its way: `pgbackup-runner cat "+m.ID, "finds the request and goes on")
	p.invoke(ctx, append(cat, "--thaw", "--thaw-wait", "1s")...).wants(t, exitcode.Failed, "not there after 1")
}

func TestThawWaitsUntilThePointCanBeRead(t *testing.T) {
	t.Parallel()
	srv, archive := testenv.S3WithArchive(t)
	p, ctx := onServer(t, srv), t.Context()
	p.output("report", "what it wrote", time.Hour)
	archive.Freeze("/points/", storageclass.DeepArchive)
	archive.Looks(2)
	cat := []string{"cat", "latest", "--repository", p.url, "--thaw"}
	p.invoke(ctx, append(cat, "--thaw-tier", "expedited")...).wants(t, exitcode.Usage, "not bring objects back from DEEP_ARCHIVE by the expedited tier: give standard or bulk")
	p.invoke(ctx, append(cat, "--thaw-tier", "blk")...).wants(t, exitcode.Usage, `did you mean "bulk"`)
	p.invoke(ctx, append(cat, "--thaw-wait", "soon")...).wants(t, exitcode.Usage, "--thaw-wait")
	p.invoke(ctx, append(cat, "--thaw-days", "999")...).wants(t, exitcode.Usage, "--thaw-days 999")
	p.invoke(ctx, "cat", "latest", "--repository", p.url, "--thaw-tier", "bulk").wants(t, exitcode.Usage, "give --thaw too")
	if n := len(archive.Asked()); n != 0 {
		t.Fatalf("what was wrong asked %d times", n)
	}
	file := filepath.Join(t.TempDir(), "report.txt")
	restore := []string{"restore", "latest", "--kind", "command", "--to-file", file, "--repository", p.url}
	p.invoke(ctx, restore...).wants(t, exitcode.Failed, "archived in DEEP_ARCHIVE", "standard takes up to 12 hours", "`pgbackup-runner restore 2", "--thaw`")
	p.invoke(ctx, append(restore, "--thaw")...).wants(t, exitcode.Done, "up to 12 hours", "what was archived can be read")
	if got, err := os.ReadFile(file); err != nil || string(got) != "what it wrote" {
		t.Fatalf("restored %q, %v", got, err)
	}
	p.invoke(ctx, cat...).wants(t, exitcode.Done, "what it wrote")
	if n := len(archive.Asked()); n != 1 {
		t.Errorf("asked %d times, want once", n)
	}
}

func TestAVerificationNamesWhatIsArchivedAndCondemnsNothingForIt(t *testing.T) {
	t.Parallel()
	srv, archive := testenv.S3WithArchive(t)
	p, ctx := onServer(t, srv), t.Context()
	old := p.output("report", "of last month", 30*24*time.Hour)
	young := p.output("report", "of today", time.Hour)
	archive.Freeze(old.Ref().DataPrefix(), storageclass.Glacier)

	p.invoke(ctx, "verify", "--all", "--repository", p.url).wants(t, exitcode.Done, "1 recovery point is good", "1 recovery point is archived and not read: "+old.Ref().String(), "3 to 5 hours", "--thaw`")
	all := p.invoke(ctx, "verify", "--all", "--json", "--repository", p.url)
	all.wants(t, exitcode.Done)
	var report struct {
		Checked  int
		Archived []struct{ ID, Problem string }
	}
	if err := json.Unmarshal([]byte(all.out), &report); err != nil || report.Checked != 1 || len(report.Archived) != 1 || report.Archived[0].ID != old.ID {
		t.Fatalf("%+v, %v\n%s", report, err, all.out)
	}
	p.invoke(ctx, "verify", old.ID, "--repository", p.url).wants(t, exitcode.Failed, "not verified: "+old.Ref().String()+": archived in GLACIER")
	if listed := p.invoke(ctx, "list", "--repository", p.url); strings.Contains(listed.out, "BAD") {
		t.Fatalf("an archived point is condemned:\n%s", listed.out)
	}
	p.invoke(ctx, "verify", "--all", "--thaw", "--repository", p.url).wants(t, exitcode.Done, "2 recovery points are good")

	// What is gone of a point is for the verification to find, and nobody pays for the rest.
	gone := p.output("gone", "of which nothing is left", 2*time.Hour)
	archive.Freeze(gone.Ref().DataPrefix(), storageclass.Glacier)
	if err := p.repo.Store().Delete(ctx, gone.Ref().DataPrefix()+gone.Objects[0].Name); err != nil {
		t.Fatal(err)
	}
	p.invoke(ctx, "verify", "--all", "--thaw", "--repository", p.url).wants(t, exitcode.BadBackup, "bad backup: "+gone.ID)
	p.invoke(ctx, "cat", gone.ID, "--thaw", "--repository", p.url).wants(t, exitcode.BadBackup, "the manifest names it but it is gone")

	// Where nothing could be read nobody may believe that something was.
	archive.Freeze(young.Ref().DataPrefix(), storageclass.DeepArchive)
	p.invoke(ctx, "verify", "--source", "report", "--repository", p.url).wants(t, exitcode.Failed, "not verified: "+young.Ref().String())
}

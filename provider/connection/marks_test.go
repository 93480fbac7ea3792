package connection_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/location"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/runnerdist/usemark"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/testenv"
	"github.com/pgbackup/terraform-provider-pgbackup/provider/connection"
)

func use(job, digit string) usemark.Use {
	return usemark.Use{Runner: strings.Repeat(digit, 64), Job: job, Target: "fargate", File: strings.Repeat("f", 64)}
}

func marksOf(t *testing.T, m *connection.Marks, job string) []usemark.Use {
	t.Helper()
	uses, err := m.Of(t.Context(), job)
	if err != nil {
		t.Fatal(err)
	}
	slices.SortFunc(uses, func(a, b usemark.Use) int { return strings.Compare(a.Key(), b.Key()) })
	return uses
}

func TestMarksOfManyJobsTakeOneListing(t *testing.T) {
	credentials(t)
	server := testenv.S3(t)
	for _, pair := range server.Env() {
		name, value, _ := strings.Cut(pair, "=")
		t.Setenv(name, value)
	}
	var asked witness
	at, err := location.Parse("s3://" + server.Bucket + "/prod?region=" + server.Region + "&endpoint=" + asked.before(t, server.Endpoint))
	if err != nil {
		t.Fatal(err)
	}
	settings := connection.Settings{Region: server.Region, SkipMetadata: true, SkipCredentialsValidation: true}
	before := connection.New(settings).Marks(at)
	if err := before.Add(t.Context(), use("a", "1"), use("b", "1")); err != nil {
		t.Fatal(err)
	}

	c := connection.New(settings)
	if err := c.Marks(at).Add(t.Context(), use("a", "2")); err != nil { // before they are listed
		t.Fatal(err)
	}
	asked.clear()
	var all sync.WaitGroup
	for range 10 {
		all.Go(func() { marksOf(t, c.Marks(at), "a") })
	}
	all.Wait()
	if err := c.Marks(at).Add(t.Context(), use("b", "2")); err != nil { // afterwards
		t.Fatal(err)
	}
	if err := c.Marks(at).Remove(t.Context(), use("a", "1")); err != nil {
		t.Fatal(err)
	}
	if got := marksOf(t, c.Marks(at), "a"); !slices.Equal(got, []usemark.Use{use("a", "2")}) {
		t.Errorf("a has %v", got)
	}
	if got := marksOf(t, c.Marks(at), "b"); !slices.Equal(got, []usemark.Use{use("b", "1"), use("b", "2")}) {
		t.Errorf("b has %v", got)
	}
	if n := asked.count("/" + server.Bucket + " "); n != 1 {
		t.Errorf("the bucket was listed %d times: %q", n, asked.paths)
	}
	if got := marksOf(t, connection.New(settings).Marks(at), "a"); !slices.Equal(got, []usemark.Use{use("a", "2")}) {
		t.Errorf("in the bucket, a has %v", got)
	}
}

func TestMarksOfARepositoryThatIsGoneAreNone(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "repository")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	at, err := location.Parse("file://" + dir)
	if err != nil {
		t.Fatal(err)
	}
	m := connection.New(connection.Settings{}).Marks(at)
	if err := m.Add(t.Context(), use("a", "1")); err != nil {
		t.Fatal(err)
	}
	if got := marksOf(t, m, "a"); len(got) != 1 {
		t.Errorf("%v", got)
	}
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if err := m.Remove(t.Context(), use("a", "1")); err != nil {
		t.Error(err)
	}
	if got := marksOf(t, connection.New(connection.Settings{}).Marks(at), "a"); len(got) != 0 {
		t.Errorf("%v", got)
	}
}

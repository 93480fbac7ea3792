package repo

import (
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore/s3"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/testenv"
)

// strangers are keys of somebody else in folders that a repository has too.
var strangers = []string{"audit/2025/x", "jobs/etl/y", "keys/tls.pem", "locks/x", "points/of/interest.csv", "policies/x", "runner/z"}

func putStrangers(t *testing.T, store objstore.Store) {
	t.Helper()
	for _, key := range strangers {
		if _, err := store.Put(t.Context(), key, []byte("theirs"), objstore.PutOptions{}); err != nil {
			t.Fatal(err)
		}
	}
}

// places opens stores at prefixes of one bucket, and at folders of one directory.
func places(t *testing.T) map[string]func(prefix string) objstore.Store {
	t.Helper()
	srv := testenv.S3(t)
	root := t.TempDir()
	return map[string]func(string) objstore.Store{
		"directory": func(prefix string) objstore.Store { return openDir(t, filepath.Join(root, prefix)) },
		"bucket": func(prefix string) objstore.Store {
			store, err := s3.Open(t.Context(), s3.Config{
				Bucket: srv.Bucket, Prefix: prefix, Region: srv.Region, Endpoint: srv.Endpoint,
				AWSConfig: &aws.Config{Region: srv.Region, Credentials: credentials.NewStaticCredentialsProvider(srv.AccessKey, srv.SecretKey, "")},
			})
			if err != nil {
				t.Fatal(err)
			}
			return objstore.Retry(store, objstore.RetryOptions{})
		},
	}
}

func TestARepositoryIsNotMadeAboveOrInsideAnother(t *testing.T) {
	t.Parallel()
	for name, at := range places(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			newRepo(t, at("team/prod"), true)
			for prefix, where := range map[string]string{
				"": "team/prod lies inside", "team": "/prod lies inside",
				"team/prod/wal": "inside the repository at", "team/prod/points": "inside the repository at", "team/prod/a/b/c": "inside the repository at",
			} {
				_, err := Create(t.Context(), at(prefix), CreateOptions{Now: clock})
				if !errors.Is(err, ErrPlaceTaken) || !strings.Contains(err.Error(), where) || !strings.Contains(err.Error(), "team/prod") {
					t.Errorf("at %q: %v", prefix, err)
				}
			}
			for _, prefix := range []string{"team/prod2", "team/pro", "staging"} {
				newRepo(t, at(prefix), false)
			}
		})
	}
}

func TestARepositoryIsNotMadeAmongWhatIsSomebodyElses(t *testing.T) {
	t.Parallel()
	for name, at := range places(t) {
		for _, key := range []string{"keys/tls.pem", "jobs/etl/y", "locks/x"} {
			store := at("used-" + strings.ReplaceAll(key, "/", "-"))
			if _, err := store.Put(t.Context(), key, []byte("theirs"), objstore.PutOptions{}); err != nil {
				t.Fatal(err)
			}
			_, err := Create(t.Context(), store, CreateOptions{Now: clock})
			if !errors.Is(err, ErrPlaceTaken) || !strings.Contains(err.Error(), key) {
				t.Errorf("%s, beside %s: %v", name, key, err)
			}
			if keys := keysOf(t, store, ""); !slices.Equal(keys, []string{key}) {
				t.Errorf("%s: there is %q", name, keys)
			}
		}
		beside := at("beside")
		if _, err := beside.Put(t.Context(), "reports/2025.csv", nil, objstore.PutOptions{}); err != nil {
			t.Fatal(err)
		}
		newRepo(t, beside, false)
	}
}

func TestDestroyLeavesWhatOthersPutIntoItsFoldersAndSaysSo(t *testing.T) {
	t.Parallel()
	for name, at := range places(t) {
		store := at("prod")
		r := newRepo(t, store, true)
		put(t, r, "app", [][]byte{[]byte("data")}, WriterOptions{})
		// What an earlier program allowed: a repository inside this one.
		nested, inside := keysOf(t, store, ""), at("prod/points")
		for _, key := range nested {
			if _, err := inside.Put(t.Context(), key, raw(t, store, key), objstore.PutOptions{}); err != nil {
				t.Fatal(err)
			}
		}
		putStrangers(t, store)
		left, err := r.Destroy(t.Context(), nil)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		want := slices.Clone(strangers)
		for _, key := range nested {
			want = append(want, "points/"+key)
		}
		slices.Sort(want)
		keys := slices.DeleteFunc(keysOf(t, store, ""), func(key string) bool { return strings.HasPrefix(key, "points/.uploads/") })
		if !slices.Equal(keys, want) {
			t.Errorf("%s: left are %q, want %q", name, keys, want)
		}
		if left.Objects < len(want)-1 || !strings.Contains(left.String(), " more") { // audit/ is no folder of ours
			t.Errorf("%s: it says %d: %s", name, left.Objects, left)
		}
	}
}

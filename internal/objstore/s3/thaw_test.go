package s3_test

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore/s3"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/storageclass"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/testenv"
)

// transition tells moto how often a copy that was asked for is described as on its way.
func transition(t *testing.T, moto *testenv.AWSServer, document string) {
	t.Helper()
	resp, err := http.Post(moto.Endpoint+"/moto-api/state-manager/set-transition", "application/json",
		strings.NewReader(`{"model_name":"s3::keyrestore","transition":`+document+`}`))
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode/100 != 2 {
		t.Fatalf("moto: %s", resp.Status)
	}
}

func TestAnArchivedObjectIsBroughtBackAndReadThen(t *testing.T) {
	t.Parallel()
	moto := testenv.AWS(t)
	transition(t, moto, `{"progression":"manual","times":2}`)
	cfg := moto.Config()
	inner, err := s3.Open(t.Context(), s3.Config{Bucket: moto.Bucket, Prefix: "prod", Region: moto.Region, Endpoint: moto.Endpoint, AWSConfig: &cfg})
	if err != nil {
		t.Fatal(err)
	}
	store := objstore.Retry(objstore.RateLimit(inner, 1<<30), objstore.RetryOptions{})
	ctx := t.Context()
	for _, class := range []string{storageclass.Glacier, storageclass.DeepArchive} {
		key := "points/" + strings.ToLower(class)
		if _, err := store.Put(ctx, key, []byte("x"), objstore.PutOptions{StorageClass: class}); err != nil {
			t.Fatal(err)
		}
		info, err := store.Head(ctx, key, "")
		if err != nil || info.StorageClass != class || info.Archive != (objstore.Archive{In: true}) || info.Archive.Readable(time.Now()) {
			t.Fatalf("%s: %+v, %v", class, info, err)
		}
		if _, _, err := store.Get(ctx, key, objstore.GetOptions{}); !errors.Is(err, objstore.ErrArchived) {
			t.Errorf("%s: read: %v", class, err)
		}
		thawer := store.(objstore.Thawer)
		if err := thawer.Thaw(ctx, key, "", objstore.ThawOptions{Days: 2, Tier: storageclass.TierBulk}); err != nil {
			t.Fatalf("%s: %v", class, err)
		}
		if info, err = store.Head(ctx, key, ""); err != nil || !info.Archive.Thawing || info.Archive.Readable(time.Now()) {
			t.Errorf("%s, on its way: %+v, %v", class, info, err)
		}
		for looks := 0; !info.Archive.Readable(time.Now()) && looks < 10; looks++ {
			if info, err = store.Head(ctx, key, ""); err != nil {
				t.Fatal(err)
			}
		}
		if left := time.Until(info.Archive.Until); left < 24*time.Hour || left > 4*24*time.Hour {
			t.Errorf("%s: it stays for %s, want about two days", class, left)
		}
		body, _, err := store.Get(ctx, key, objstore.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(body)
		if err != nil || !bytes.Equal(got, []byte("x")) {
			t.Errorf("%s: %q, %v", class, got, err)
		}
	}
	listed := map[string]string{}
	for info, err := range store.List(ctx, "") {
		if err != nil {
			t.Fatal(err)
		}
		listed[info.Key] = info.StorageClass
	}
	if listed["points/glacier"] != storageclass.Glacier || listed["points/deep_archive"] != storageclass.DeepArchive {
		t.Errorf("a listing shows the classes %v", listed)
	}
}

func archive(t *testing.T, opts ...testenv.S3Option) (objstore.Store, *testenv.Archive) {
	t.Helper()
	srv, archive := testenv.S3WithArchive(t, opts...)
	store, err := s3.Open(t.Context(), s3.Config{Bucket: srv.Bucket, Prefix: "prod", Region: srv.Region, Endpoint: srv.Endpoint,
		AWSConfig: &aws.Config{Credentials: credentials.NewStaticCredentialsProvider(srv.AccessKey, srv.SecretKey, "")}})
	if err != nil {
		t.Fatal(err)
	}
	return objstore.Retry(store, objstore.RetryOptions{Base: time.Millisecond}), archive
}

func TestAskingTwiceForACopyIsNoErrorAndNamesTheVersion(t *testing.T) {
	t.Parallel()
	store, archive := archive(t, testenv.S3Versioned())
	ctx, thawer := t.Context(), store.(objstore.Thawer)
	first, err := store.Put(ctx, "a", []byte("first"), objstore.PutOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := store.Put(ctx, "a", []byte("second"), objstore.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	// What is in no archive is there already.
	if err := thawer.Thaw(ctx, "a", "", objstore.ThawOptions{Days: 1}); err != nil {
		t.Errorf("in no archive: %v", err)
	}
	archive.Freeze("/prod/a", storageclass.Glacier)
	archive.Looks(1 << 20)
	for range 2 {
		if err := thawer.Thaw(ctx, "a", first.VersionID, objstore.ThawOptions{Days: 4}); err != nil {
			t.Fatal(err)
		}
	}
	asked := archive.Asked()
	if len(asked) != 1 || asked[0].Version != first.VersionID || asked[0].Tier != storageclass.TierStandard || asked[0].Days != 4 {
		t.Errorf("asked for %+v, want the first version once", asked)
	}
	if info, err := store.Head(ctx, "a", ""); err != nil || info.Archive.Thawing {
		t.Errorf("the other version: %+v, %v", info, err)
	}
}

func TestARefusalToBringBackSaysWhatToDo(t *testing.T) {
	t.Parallel()
	store, archive := archive(t)
	ctx, thawer := t.Context(), store.(objstore.Thawer)
	if _, err := store.Put(ctx, "a", nil, objstore.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	archive.Freeze("/prod/a", storageclass.Glacier)
	for code, want := range map[string]struct {
		kind error
		says string
	}{
		"GlacierExpeditedRetrievalNotAvailable": {objstore.ErrUnsupported, "ask for the standard tier"},
		"AccessDenied":                          {objstore.ErrDenied, "s3:RestoreObject"},
	} {
		archive.Refuse(code)
		err := thawer.Thaw(ctx, "a", "", objstore.ThawOptions{Days: 1, Tier: storageclass.TierExpedited})
		if !errors.Is(err, want.kind) || errors.Is(err, objstore.ErrTransient) {
			t.Errorf("%s: %v, want %v", code, err, want.kind)
		}
		wantOneLine(t, err, "thaw a in s3://", want.says)
	}
	for _, opts := range []objstore.ThawOptions{{Tier: "bulk"}, {Days: -1}} {
		if err := thawer.Thaw(ctx, "a", "", opts); !errors.Is(err, objstore.ErrUnsupported) {
			t.Errorf("%+v: %v", opts, err)
		}
	}
}

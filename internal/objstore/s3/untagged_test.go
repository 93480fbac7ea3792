package s3_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore/s3"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/testenv"
)

var tagged = objstore.PutOptions{Tags: map[string]string{"pgbackup-tier": "daily"}}

// upload writes an object in parts.
func upload(ctx context.Context, s *s3.Store, key string, opts objstore.PutOptions) error {
	up, err := s.Create(ctx, key, opts)
	if err != nil {
		return err
	}
	defer func() { _ = up.Abort() }()
	if err := up.Part(ctx, 1, noise(1000)); err != nil {
		return err
	}
	_, err = up.Complete(ctx)
	return err
}

func TestAServerThatRefusesTagsGetsObjectsWithoutThem(t *testing.T) {
	t.Parallel()
	for name, write := range map[string]func(context.Context, *s3.Store) error{
		"put":    func(ctx context.Context, s *s3.Store) error { _, err := s.Put(ctx, "a", noise(10), tagged); return err },
		"upload": func(ctx context.Context, s *s3.Store) error { return upload(ctx, s, "a", tagged) },
		"empty upload": func(ctx context.Context, s *s3.Store) error {
			up, err := s.Create(ctx, "a", tagged)
			if err == nil {
				_, err = up.Complete(ctx)
			}
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := open(t, config(t, testenv.S3WithoutTags(t)))
			if err := s.TagsRefused(); err != nil {
				t.Fatalf("before anything was written: %v", err)
			}
			if err := write(t.Context(), s); err != nil {
				t.Fatal(err)
			}
			if _, err := s.Head(t.Context(), "a", ""); err != nil {
				t.Error(err)
			}
			if err := s.TagsRefused(); !errors.Is(err, objstore.ErrUnsupported) || !strings.Contains(err.Error(), "x-amz-tagging") {
				t.Errorf("the reason is %v", err)
			}
			if err := s.SetTags(t.Context(), "a", tagged.Tags); !errors.Is(err, objstore.ErrUnsupported) {
				t.Errorf("tagged afterwards: %v", err)
			}
		})
	}
}

func TestARefusedSetTagsIsRemembered(t *testing.T) {
	t.Parallel()
	s := open(t, config(t, testenv.S3WithoutTags(t)))
	if _, err := s.Put(t.Context(), "a", nil, objstore.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := s.SetTags(t.Context(), "a", tagged.Tags); !errors.Is(err, objstore.ErrUnsupported) {
		t.Errorf("tagged: %v", err)
	}
	if err := s.TagsRefused(); !errors.Is(err, objstore.ErrUnsupported) {
		t.Errorf("the reason is %v", err)
	}
}

func TestTagsAreNotBlamedForWhatFailsWithoutThemToo(t *testing.T) {
	t.Parallel()
	var refuse atomic.Bool
	s := behindHTTP(t, func(_ int, r *http.Request) (int, bool) {
		return http.StatusNotImplemented, refuse.Load() && (r.Method == http.MethodPut || r.Method == http.MethodPost)
	})
	refuse.Store(true)
	if _, err := s.Put(t.Context(), "a", noise(10), tagged); !errors.Is(err, objstore.ErrUnsupported) {
		t.Errorf("put: %v", err)
	}
	if err := upload(t.Context(), s, "b", tagged); !errors.Is(err, objstore.ErrUnsupported) {
		t.Errorf("upload: %v", err)
	}
	if err := s.TagsRefused(); err != nil {
		t.Errorf("tags are blamed: %v", err)
	}
	refuse.Store(false)
	if err := upload(t.Context(), s, "b", tagged); err != nil {
		t.Fatal(err)
	}
	if tags, err := s.Tags(t.Context(), "b"); err != nil || tags["pgbackup-tier"] != "daily" {
		t.Errorf("tags %v, %v", tags, err)
	}
}

func TestAServerThatOnlySaysItDoesNotDoItGetsObjectsWithoutTags(t *testing.T) {
	t.Parallel()
	s := behindHTTP(t, func(_ int, r *http.Request) (int, bool) {
		return http.StatusNotImplemented, r.Header.Get("X-Amz-Tagging") != ""
	})
	if err := upload(t.Context(), s, "a", tagged); err != nil {
		t.Fatal(err)
	}
	if err := s.TagsRefused(); !errors.Is(err, objstore.ErrUnsupported) {
		t.Errorf("the reason is %v", err)
	}
}

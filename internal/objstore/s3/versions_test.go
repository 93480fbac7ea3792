package s3_test

import (
	"errors"
	"io"
	"testing"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/testenv"
)

func TestVersionsStayReadableBelowReplacementsAndDeletions(t *testing.T) {
	t.Parallel()
	s := open(t, config(t, testenv.S3(t, testenv.S3Versioned())))
	ctx := t.Context()

	first, err := s.Put(ctx, "k", []byte("first"), objstore.PutOptions{})
	if err != nil {
		t.Fatal(err)
	}
	up, err := s.Create(ctx, "k", objstore.PutOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if err := up.Part(ctx, 1, []byte("second")); err != nil {
		t.Fatal(err)
	}
	second, err := up.Complete(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Delete(ctx, "k"); err != nil {
		t.Fatal(err)
	}
	if first.VersionID == "" || second.VersionID == "" || first.VersionID == second.VersionID {
		t.Fatalf("version ids are %q and %q", first.VersionID, second.VersionID)
	}
	for id, want := range map[string]string{first.VersionID: "first", second.VersionID: "second"} {
		body, info, err := s.Get(ctx, "k", objstore.GetOptions{VersionID: id})
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(body)
		_ = body.Close()
		if err != nil || string(got) != want || info.VersionID != id {
			t.Errorf("version %s reads %q (%v) and is called %s, want %q", id, got, err, info.VersionID, want)
		}
		head, err := s.Head(ctx, "k", id)
		if err != nil || head.Size != int64(len(want)) {
			t.Errorf("head of version %s: %+v, %v", id, head, err)
		}
	}
	if _, err := s.Head(ctx, "k", ""); !errors.Is(err, objstore.ErrNotFound) {
		t.Errorf("head of the deleted object: %v", err)
	}
	for info, err := range s.List(ctx, "") {
		t.Errorf("listed %+v (%v) although all is deleted", info, err)
	}
}

func TestTheStoresOwnChecksumIsReported(t *testing.T) {
	t.Parallel()
	s := open(t, config(t, testenv.S3(t)))
	ctx := t.Context()
	put, err := s.Put(ctx, "small", []byte("123456789"), objstore.PutOptions{})
	if err != nil {
		t.Fatal(err)
	}
	up, err := s.Create(ctx, "large", objstore.PutOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if err := up.Part(ctx, 1, make([]byte, objstore.PartSize)); err != nil {
		t.Fatal(err)
	}
	if err := up.Part(ctx, 2, []byte("tail")); err != nil {
		t.Fatal(err)
	}
	large, err := up.Complete(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for key, info := range map[string]objstore.Info{"small": put, "large": large} {
		head, err := s.Head(ctx, key, "")
		if err != nil {
			t.Fatal(err)
		}
		if info.CRC64NVME == nil || head.CRC64NVME == nil || *info.CRC64NVME != *head.CRC64NVME {
			t.Errorf("%s: checksum %v when written, %v by head", key, info.CRC64NVME, head.CRC64NVME)
		}
	}
	if put.CRC64NVME != nil && *put.CRC64NVME != 0xae8b14860a799888 {
		t.Errorf("checksum %x", *put.CRC64NVME)
	}
}

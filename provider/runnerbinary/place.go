package runnerbinary

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/deploy/host"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/location"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/runnerdist"
	"github.com/pgbackup/terraform-provider-pgbackup/provider/connection"
)

// place is where programs are brought to. Names are keys of a repository or
// paths of a host.
type place interface {
	// hash gives the SHA-256 of what is there now; "" for nothing. A program
	// that may not be executed counts as not there.
	hash(ctx context.Context, name string) (string, error)
	put(ctx context.Context, name string, content []byte) error
	remove(ctx context.Context, name string) error
}

// openPlace of the model; names maps an architecture to its program there.
func openPlace(ctx context.Context, conn *connection.Connection, m model) (place, error) {
	if !m.InstallDir.IsNull() {
		return folder(m.InstallDir.ValueString()), nil
	}
	at, err := location.Parse(m.Repository.ValueString())
	if err != nil {
		return nil, err
	}
	opened, err := conn.OpenRepository(ctx, at, "")
	if err != nil {
		return nil, err
	}
	return bucket{opened.Store()}, nil
}

// bring puts a build to a place unless exactly it is there.
func bring(ctx context.Context, p place, name string, b runnerdist.Build) error {
	there, err := p.hash(ctx, name)
	if err != nil || there == b.SHA256 {
		return err
	}
	r, err := b.Open()
	if err != nil {
		return err
	}
	content, err := io.ReadAll(r)
	if err := errors.Join(err, r.Close()); err != nil {
		return err
	}
	return p.put(ctx, name, content)
}

// folder of this host.
type folder string

func (folder) hash(_ context.Context, name string) (string, error) {
	f, err := os.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil || st.Mode().Perm() != mode {
		return "", err
	}
	return sum(f)
}

const mode = 0o755

func (d folder) put(_ context.Context, name string, content []byte) error {
	if err := os.MkdirAll(string(d), 0o755); err != nil { //nolint:gosec // other users run the program
		return err
	}
	return host.Write(host.File{Path: name, Content: string(content), Mode: mode})
}

func (folder) remove(_ context.Context, name string) error { return host.Remove(name) }

// bucket is the object store of a repository.
type bucket struct{ store objstore.Store }

func (b bucket) hash(ctx context.Context, name string) (string, error) {
	r, _, err := b.store.Get(ctx, name, objstore.GetOptions{})
	if errors.Is(err, objstore.ErrNotFound) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	defer func() { _ = r.Close() }()
	return sum(r)
}

func (b bucket) put(ctx context.Context, name string, content []byte) error {
	if _, err := b.store.Put(ctx, name, content, objstore.PutOptions{ContentType: "application/octet-stream"}); err != nil {
		return fmt.Errorf("upload the runner: %w", err)
	}
	return nil
}

func (b bucket) remove(ctx context.Context, name string) error { return b.store.Delete(ctx, name) }

func sum(r io.Reader) (string, error) {
	h := sha256.New()
	if _, err := io.Copy(h, r); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

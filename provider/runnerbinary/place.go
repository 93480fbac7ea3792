package runnerbinary

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/hashicorp/terraform-plugin-framework/diag"

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

// openPlace of the model. What is learned about objects of a bucket is added to
// seen.
func openPlace(ctx context.Context, conn *connection.Connection, m model, seen memory) (place, error) {
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
	b := objects{store: opened.Store()}
	if !at.IsDirectory() {
		b.seen = seen // reading a bucket costs time and money, a directory does not
	}
	return b, nil
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

// bringArchive puts the archive for Lambda of a build to a bucket unless exactly it
// is there.
func bringArchive(ctx context.Context, o objects, b runnerdist.Build) error {
	name := runnerdist.LambdaKey(b.SHA256, b.Arch)
	there, err := o.archived(ctx, name)
	if err != nil || there == b.SHA256 {
		return err
	}
	archive, err := runnerdist.LambdaZip(b)
	if err != nil {
		return err
	}
	return o.putKnown(ctx, name, archive, b.SHA256)
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

// memory holds the hash of objects by key and ETag, between runs of Terraform:
// 60 MB need not be fetched for every plan. An object with other bytes has
// another ETag; whoever deploys the program checks its hash before it runs.
type memory map[string]struct {
	ETag   string `json:"etag"`
	SHA256 string `json:"sha256"`
}

// objects is the object store of a repository.
type objects struct {
	store objstore.Store
	seen  memory // nil remembers nothing
}

func (o objects) hash(ctx context.Context, name string) (string, error) {
	return o.hashOf(ctx, name, sum)
}

// archived gives the SHA-256 of the program in an archive for Lambda; "" for
// nothing, or for something else.
func (o objects) archived(ctx context.Context, name string) (string, error) {
	return o.hashOf(ctx, name, func(r io.Reader) (string, error) {
		archive, err := io.ReadAll(r)
		return runnerdist.LambdaSHA256(archive), err
	})
}

// hashOf reads an object, unless it is remembered.
func (o objects) hashOf(ctx context.Context, name string, sum func(io.Reader) (string, error)) (string, error) {
	if known, ok := o.seen[name]; ok {
		info, err := o.store.Head(ctx, name, "")
		if err == nil && info.ETag == known.ETag {
			return known.SHA256, nil
		}
	}
	r, info, err := o.store.Get(ctx, name, objstore.GetOptions{})
	if errors.Is(err, objstore.ErrNotFound) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	defer func() { _ = r.Close() }()
	h, err := sum(r)
	if err == nil {
		o.remember(name, info.ETag, h)
	}
	return h, err
}

func (o objects) remember(name, etag, hash string) {
	if o.seen == nil || etag == "" {
		return
	}
	entry := o.seen[name]
	entry.ETag, entry.SHA256 = etag, hash
	o.seen[name] = entry
}

func (o objects) put(ctx context.Context, name string, content []byte) error {
	h, err := sum(bytes.NewReader(content))
	if err != nil {
		return err
	}
	return o.putKnown(ctx, name, content, h)
}

// putKnown puts an object that stands for a program with that hash.
func (o objects) putKnown(ctx context.Context, name string, content []byte, hash string) error {
	info, err := o.store.Put(ctx, name, content, objstore.PutOptions{ContentType: "application/octet-stream"})
	if err != nil {
		return fmt.Errorf("upload the runner: %w", err)
	}
	o.remember(name, info.ETag, hash)
	return nil
}

func (o objects) remove(ctx context.Context, name string) error { return o.store.Delete(ctx, name) }

func sum(r io.Reader) (string, error) {
	h := sha256.New()
	if _, err := io.Copy(h, r); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// privateState is where memory survives, out of sight of users.
type privateState interface {
	SetKey(ctx context.Context, key string, value []byte) diag.Diagnostics
}

const memoryKey = "seen"

// recall reads the memory; what cannot be read is forgotten.
func recall(stored []byte) memory {
	m := memory{}
	if json.Unmarshal(stored, &m) != nil || m == nil {
		return memory{}
	}
	return m
}

func (m memory) save(ctx context.Context, private privateState) diag.Diagnostics {
	data, err := json.Marshal(m)
	if err != nil || len(m) == 0 {
		return nil
	}
	return private.SetKey(ctx, memoryKey, data)
}

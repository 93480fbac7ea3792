package proof

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/backup"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/backup/point"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/logical"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore/dir"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/postgres"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/postgres/pgarchive"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/seal"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/testenv"
)

const (
	database = "shop" // what was backed up
	source   = "shop@db1"
	// chunk is the most plain bytes in a chunk of these points. Real ones have a
	// thousand times as many; a small database has to fill several.
	chunk = 16 << 10
)

var (
	server *testenv.PostgresServer
	key    = seal.NewKey()
	// originals are the undamaged repositories, by whether they are sealed.
	originals = map[bool]*original{}
	names     atomic.Int64 // of databases
)

// original is a whole repository with two points of one database.
type original struct {
	path     string
	sealed   bool
	ref      repo.Ref // the newer point: the victim
	older    repo.Ref
	manifest *repo.Manifest // of the victim
	contents contents
}

// contents are the plain bytes of a point.
type contents struct {
	archive, tables, globals []byte
	manifest                 repo.Manifest
}

func TestMain(m *testing.M) {
	code, err := prepared(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func prepared(m *testing.M) (code int, err error) {
	ctx := context.Background()
	if server, err = testenv.StartPostgres(ctx, "", testenv.PostgresOptions{Config: map[string]string{"max_connections": "200"}}); err != nil {
		return 1, err
	}
	defer func() {
		if stopErr := server.Stop(); err == nil {
			err = stopErr
		}
	}()
	root, err := os.MkdirTemp("", "proof")
	if err != nil {
		return 1, err
	}
	defer os.RemoveAll(root)
	if err := os.Chmod(root, 0o711); err != nil { // servers of drills are another user's
		return 1, err
	}
	if err := makeOriginals(ctx, root); err != nil {
		return 1, err
	}
	return m.Run(), nil
}

// shop is a database of several tables, with all that a logical backup proves:
// rows, sequences, large objects, and what is made of them afterwards.
const shop = `CREATE TABLE customers (id int PRIMARY KEY, name text NOT NULL UNIQUE, born date);
INSERT INTO customers SELECT g, 'Gr\u00fc\u00dfe ' || g || ' ' || md5(g::text), DATE '1970-01-01' + g FROM generate_series(1, 800) g;
CREATE TABLE notes (customer int REFERENCES customers, at timestamptz, body text);
INSERT INTO notes SELECT 1 + g % 800, TIMESTAMPTZ '2026-01-01 00:00+00' + g * INTERVAL '1 minute', md5(g::text) || md5((2 * g)::text) FROM generate_series(1, 900) g;
CREATE TABLE orders (id serial PRIMARY KEY, customer int REFERENCES customers, total numeric, paid boolean);
INSERT INTO orders (customer, total, paid) SELECT 1 + g % 800, g * 1.25, g % 3 = 0 FROM generate_series(1, 1500) g;
CREATE INDEX ON orders (customer); CREATE VIEW unpaid AS SELECT * FROM orders WHERE NOT paid;
SELECT lo_from_bytea(4711, convert_to(repeat('invoice ', 500), 'UTF8'))`

func makeOriginals(ctx context.Context, root string) error {
	if err := execute(ctx, "postgres", "CREATE DATABASE "+database+" TEMPLATE template0"); err != nil {
		return err
	}
	if err := execute(ctx, database, shop); err != nil {
		return err
	}
	older, err := backUp(ctx, filepath.Join(root, "older"))
	if err != nil {
		return err
	}
	if err := execute(ctx, database, "UPDATE customers SET name = reverse(name) WHERE id % 7 = 0; SELECT nextval('orders_id_seq')"); err != nil {
		return err
	}
	newer, err := backUp(ctx, filepath.Join(root, "newer"))
	if err != nil {
		return err
	}
	for _, sealed := range []bool{false, true} {
		o := &original{path: filepath.Join(root, "sealed-"+strconv.FormatBool(sealed)), sealed: sealed, contents: newer}
		store, err := dir.Create(o.path)
		if err != nil {
			return err
		}
		var options repo.CreateOptions
		if sealed {
			options.Key = seal.Local{Key: key}
		}
		r, err := repo.Create(ctx, store, options)
		if err != nil {
			return err
		}
		now := time.Now().Add(-time.Hour)
		if o.older, err = write(ctx, r, older, now.Add(-time.Hour)); err != nil {
			return err
		}
		if o.ref, err = write(ctx, r, newer, now); err != nil {
			return err
		}
		if o.manifest, err = r.Manifest(ctx, o.ref); err != nil {
			return err
		}
		originals[sealed] = o
	}
	return nil
}

func execute(ctx context.Context, db, sql string) error {
	t, err := postgres.ParseTarget(server.URL(db))
	if err != nil {
		return err
	}
	conn, err := t.Connect(ctx)
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	_, err = conn.PgConn().Exec(ctx, sql).ReadAll()
	return err
}

// backUp takes a backup as the product does and returns what is in it.
func backUp(ctx context.Context, path string) (contents, error) {
	var c contents
	store, err := dir.Create(path)
	if err != nil {
		return c, err
	}
	r, err := repo.Create(ctx, store, repo.CreateOptions{})
	if err != nil {
		return c, err
	}
	t, err := postgres.ParseTarget(server.URL(database))
	if err != nil {
		return c, err
	}
	taken, err := backup.Run(ctx, backup.Options{Options: point.Options{Repo: r, Source: source, Self: repo.Self()}, Target: t, Globals: true})
	if err != nil {
		return c, err
	}
	p, err := r.OpenPoint(ctx, taken.Manifest.Ref())
	if err != nil {
		return c, err
	}
	for stream, to := range map[string]*[]byte{logical.StreamArchive: &c.archive, logical.StreamTables: &c.tables, logical.StreamGlobals: &c.globals} {
		body, err := p.Open(ctx, stream)
		if err != nil {
			return c, err
		}
		if *to, err = io.ReadAll(body); err != nil {
			return c, err
		}
		body.Close()
	}
	c.manifest = *taken.Manifest
	return c, nil
}

// write commits a point of such contents in small chunks; the head of the archive
// has chunks of its own.
func write(ctx context.Context, r *repo.Repository, c contents, start time.Time) (repo.Ref, error) {
	w, err := r.NewPoint(source, logical.Kind, start, repo.WriterOptions{})
	if err != nil {
		return repo.Ref{}, err
	}
	archive := pgarchive.NewReader(pgarchive.Events{})
	if _, err := io.Copy(archive, bytes.NewReader(c.archive)); err != nil {
		return repo.Ref{}, err
	}
	s := w.Stream(ctx, logical.StreamArchive, 1)
	head := len(archive.TOC().Raw)
	for at := 0; at < len(c.archive); {
		end := min(at+chunk, len(c.archive))
		if at < head {
			end = min(end, head)
		}
		b, err := s.Buffer()
		if err != nil {
			return repo.Ref{}, err
		}
		b.Bytes = append(b.Bytes[:0], c.archive[at:end]...)
		if err := s.Add(b, false); err != nil {
			return repo.Ref{}, err
		}
		at = end
	}
	chunks, err := s.Close()
	if err != nil {
		return repo.Ref{}, err
	}
	index, err := json.Marshal(logical.MakeIndex(archive, chunks))
	if err != nil {
		return repo.Ref{}, err
	}
	for _, small := range []struct {
		stream string
		data   []byte
	}{{repo.StreamIndex, index}, {logical.StreamTables, c.tables}, {logical.StreamGlobals, c.globals}} {
		if err := w.WriteStream(ctx, small.stream, small.data); err != nil {
			return repo.Ref{}, err
		}
	}
	m := c.manifest
	m.End, m.Server.Clock = start.Add(time.Second), start
	return w.Ref(), w.Commit(ctx, &m)
}

// victim is a copy of an original to be damaged.
type victim struct {
	*original
	t    *testing.T
	path string
	key  seal.Key
	log  *slog.Logger // of those who read it; may be nil
}

func newVictim(t *testing.T, sealed bool) *victim {
	t.Helper()
	v := &victim{original: originals[sealed], t: t, path: filepath.Join(t.TempDir(), "repository"), key: key}
	if err := os.CopyFS(v.path, os.DirFS(v.original.path)); err != nil {
		t.Fatal(err)
	}
	return v
}

// open opens the repository as a program does that never saw it whole.
func (v *victim) open() (*repo.Repository, error) {
	store, err := dir.Open(v.path)
	if err != nil {
		return nil, err
	}
	return repo.Open(context.Background(), store, repo.OpenOptions{Key: func(context.Context, []string) (seal.Wrapper, error) {
		return seal.Local{Key: v.key}, nil
	}})
}

// file is where an object of a point lies; stream "manifest" is its manifest.
func (v *victim) file(ref repo.Ref, stream string) string {
	v.t.Helper()
	if stream == "manifest" {
		return filepath.Join(v.path, filepath.FromSlash(ref.ManifestKey()))
	}
	for _, o := range v.manifest.Objects { // named alike in both points
		if o.Stream == stream {
			return filepath.Join(v.path, "points", source, logical.Kind, ref.ID, o.Name)
		}
	}
	v.t.Fatalf("no stream %s", stream)
	return ""
}

func (v *victim) read(file string) []byte {
	v.t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		v.t.Fatal(err)
	}
	return data
}

func (v *victim) overwrite(file string, data []byte) {
	v.t.Helper()
	if err := os.Chmod(file, 0o600); err != nil {
		v.t.Fatal(err)
	}
	if err := os.WriteFile(file, data, 0o600); err != nil {
		v.t.Fatal(err)
	}
}

// change edits the bytes of an object of the victim.
func (v *victim) change(stream string, edit func([]byte) []byte) {
	v.t.Helper()
	file := v.file(v.ref, stream)
	before := v.read(file)
	after := edit(bytes.Clone(before))
	if bytes.Equal(before, after) {
		v.t.Fatalf("%s was not changed", stream)
	}
	v.overwrite(file, after)
}

// chunkHeader is the length of what stands before each stored chunk.
const chunkHeader = 32

// split cuts an object at its chunks, by their headers.
func split(t *testing.T, object []byte) [][]byte {
	t.Helper()
	var chunks [][]byte
	for len(object) > 0 {
		size := chunkHeader + int(binary.BigEndian.Uint32(object[28:]))
		chunks = append(chunks, object[:size:size])
		object = object[size:]
	}
	return chunks
}

func targetOf(t *testing.T, db string) postgres.Target {
	t.Helper()
	to, err := postgres.ParseTarget(server.URL(db))
	if err != nil {
		t.Fatal(err)
	}
	return to
}

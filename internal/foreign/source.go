package foreign

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/job"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore"
)

// Source is a file to read, as often as needed.
type Source struct {
	Name     string    // as given, without what may be secret in a URL
	Base     string    // last part of the name
	Size     int64     // stored bytes, -1 when it is not known before reading
	Modified time.Time // zero when nobody says
	// Directory of a dump of pg_dump -Fd on this machine, "" for a single file.
	Directory string
	// Local is the path of a single file on this machine, "" elsewhere.
	Local string

	open func(ctx context.Context) (io.ReadCloser, error)
}

// Places says how to reach what is not on this machine.
type Places struct {
	// Store opens a bucket. nil: s3:// can not be read here.
	Store func(ctx context.Context, at job.RepositoryURL) (objstore.Store, error)
	// HTTP fetches an https:// URL; nil is a client of our own.
	HTTP Fetcher
}

// Open begins to read the file.
func (s *Source) Open(ctx context.Context) (io.ReadCloser, error) {
	if s.Directory != "" {
		return nil, fmt.Errorf("read %s: it is a directory", s.Name)
	}
	body, err := s.open(ctx)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", s.Name, err)
	}
	return body, nil
}

// Find looks at the place of one file or one directory dump: a path, file://,
// s3://bucket/key or https://.
func (p Places) Find(ctx context.Context, place string) (*Source, error) {
	scheme, rest, isURL := strings.Cut(place, "://")
	switch {
	case !isURL:
		return local(place)
	case scheme == "file":
		u, err := url.Parse(place)
		if err != nil || u.Host != "" || u.Path == "" {
			return nil, fmt.Errorf("%s: write it as file:///path/to/file", place)
		}
		return local(u.Path)
	case scheme == "s3":
		return p.object(ctx, place)
	case scheme == "https":
		return p.web(ctx, place)
	case scheme == "http":
		return nil, fmt.Errorf("http://…: whoever is on the way could put any SQL into it; fetch it over https://, or to a file first")
	}
	_ = rest // may hold a password
	return nil, fmt.Errorf("%s://…: give a path, file:///path, s3://bucket/key or https://…", scheme)
}

// FindAll is Find for every file that a place names: those of a folder, or of all
// keys below an s3://bucket/prefix/ that ends with a slash, in order of their names.
func (p Places) FindAll(ctx context.Context, place string) ([]*Source, error) {
	if strings.HasPrefix(place, "s3://") {
		path, _, _ := strings.Cut(place, "?")
		if strings.HasSuffix(path, "/") || strings.Count(path, "/") == 2 {
			return p.objects(ctx, place)
		}
	}
	if path, ok := strings.CutPrefix(place, "file://"); ok || !strings.Contains(place, "://") {
		if info, err := os.Stat(path); err == nil && info.IsDir() && !isDirectoryDump(path) {
			return folder(path)
		}
	}
	one, err := p.Find(ctx, place)
	if err != nil {
		return nil, err
	}
	return []*Source{one}, nil
}

// toc is the table of contents of a directory dump.
const toc = "toc.dat"

func isDirectoryDump(path string) bool {
	info, err := os.Stat(filepath.Join(path, toc))
	return err == nil && info.Mode().IsRegular()
}

func local(path string) (*Source, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, plainPathError(err)
	}
	s := &Source{Name: path, Base: filepath.Base(path), Size: info.Size(), Modified: info.ModTime()}
	switch {
	case info.IsDir() && isDirectoryDump(path):
		s.Directory, s.Size = path, -1
		return s, nil
	case info.IsDir():
		return nil, fmt.Errorf("%s: a folder, and not one of pg_dump -Fd: there is no %s in it", path, toc)
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%s: not a regular file: it is read more than once", path)
	}
	s.Local = path
	s.open = func(context.Context) (io.ReadCloser, error) {
		f, err := os.Open(path)
		return f, plainPathError(err)
	}
	return s, nil
}

// folder lists the files of a folder, without those of its folders that are no
// directory dumps.
func folder(path string) ([]*Source, error) {
	entries, err := os.ReadDir(path)
	if err != nil {
		return nil, plainPathError(err)
	}
	var found []*Source
	for _, e := range entries {
		name := filepath.Join(path, e.Name())
		if strings.HasPrefix(e.Name(), ".") || !e.Type().IsRegular() && !isDirectoryDump(name) {
			continue
		}
		s, err := local(name)
		if err != nil {
			return nil, err
		}
		found = append(found, s)
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("%s: no files are in this folder", path)
	}
	return found, nil
}

// plainPathError says what is wrong with which path and leaves out the system call.
func plainPathError(err error) error {
	var path *fs.PathError
	if errors.As(err, &path) {
		return fmt.Errorf("%s: %w", path.Path, path.Err)
	}
	return err
}

// object finds one object of a bucket.
func (p Places) object(ctx context.Context, place string) (*Source, error) {
	store, key, err := p.bucket(ctx, place)
	if err != nil {
		return nil, err
	}
	if key == "" {
		return nil, fmt.Errorf("%s: name an object: s3://bucket/key", place)
	}
	info, err := store.Head(ctx, key, "")
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", place, err)
	}
	return ofObject(store, info), nil
}

func (p Places) objects(ctx context.Context, place string) ([]*Source, error) {
	store, prefix, err := p.bucket(ctx, place)
	if err != nil {
		return nil, err
	}
	var found []*Source
	for info, err := range store.List(ctx, prefix) {
		if err != nil {
			return nil, fmt.Errorf("list %s: %w", place, err)
		}
		if info.Size > 0 && !strings.HasSuffix(info.Key, "/") {
			found = append(found, ofObject(store, info))
		}
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("%s: no objects are there", place)
	}
	sort.Slice(found, func(i, j int) bool { return found[i].Name < found[j].Name })
	return found, nil
}

func ofObject(store objstore.Store, info objstore.Info) *Source {
	return &Source{
		Name: store.URL() + "/" + info.Key, Base: info.Key[strings.LastIndexByte(info.Key, '/')+1:], Size: info.Size, Modified: info.Modified,
		open: func(ctx context.Context) (io.ReadCloser, error) {
			// The version that was found: another under the name is another file.
			body, _, err := store.Get(ctx, info.Key, objstore.GetOptions{VersionID: info.VersionID})
			return body, err
		},
	}
}

// bucket opens that of s3://bucket/key?region=…, and gives the key.
func (p Places) bucket(ctx context.Context, place string) (objstore.Store, string, error) {
	if p.Store == nil {
		return nil, "", fmt.Errorf("%s: there is no access to S3 here", place)
	}
	u, err := url.Parse(place)
	if err != nil || u.Host == "" {
		return nil, "", fmt.Errorf("%s: write it as s3://bucket/key", place)
	}
	key := strings.TrimPrefix(u.Path, "/")
	u.Path, u.RawPath = "", ""
	at, err := job.ParseRepository(u.String())
	if err != nil {
		return nil, "", fmt.Errorf("%s: %w", place, err)
	}
	store, err := p.Store(ctx, at)
	return store, key, err
}

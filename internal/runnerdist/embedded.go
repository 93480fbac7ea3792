package runnerdist

import (
	"compress/gzip"
	"embed"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"sync"
)

// A whole folder, because a pattern that matches nothing does not compile in a
// fresh clone.
//
//go:embed all:dist
var dist embed.FS

// Name of an embedded build without its ending.
func embeddedName(arch string) string { return "pgbackup-runner_linux_" + arch }

// Embedded gives the builds this program carries; none is not an error until one
// is asked for.
var Embedded = sync.OnceValues(func() (Set, error) {
	sub, err := fs.Sub(dist, "dist")
	if err != nil {
		return Set{}, err
	}
	return fromArchive(sub)
})

func fromArchive(files fs.FS) (Set, error) {
	set := Set{origin: "this provider", hint: "set runner_path in the provider's configuration, or build it with `make build`"}
	for _, arch := range []string{AMD64, ARM64} {
		text, err := fs.ReadFile(files, embeddedName(arch)+".sha256")
		if err != nil {
			continue // not built for this one
		}
		b := Build{Arch: arch}
		if n, err := fmt.Sscanf(strings.TrimSpace(string(text)), "%64s %d", &b.SHA256, &b.Size); n != 2 || err != nil || len(b.SHA256) != 64 {
			return Set{}, fmt.Errorf("the embedded file %s.sha256 is not a SHA-256 and a size: build the provider again with `make build`", embeddedName(arch))
		}
		b.open = func() (io.ReadCloser, error) { return openGzip(files, embeddedName(arch)+".gz") }
		set.builds = append(set.builds, b)
	}
	set.sort()
	return set, nil
}

type gzipFile struct {
	*gzip.Reader
	file fs.File
}

func (g gzipFile) Close() error {
	if err := g.Reader.Close(); err != nil {
		return err
	}
	return g.file.Close()
}

func openGzip(files fs.FS, name string) (io.ReadCloser, error) {
	f, err := files.Open(name)
	if err != nil {
		return nil, err
	}
	z, err := gzip.NewReader(f)
	if err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("unpack %s: %w", name, err)
	}
	return gzipFile{z, f}, nil
}

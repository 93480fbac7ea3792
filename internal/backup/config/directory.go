package config

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"syscall"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
)

// Directory reads a configuration from a disk: the folder with postgresql.conf.
type Directory struct{ Path string }

// String names the folder.
func (d Directory) String() string { return "directory " + d.Path }

// Read reads postgresql.conf and what it names: pg_hba.conf and pg_ident.conf
// where they are, postgresql.auto.conf in the data directory, and all they
// include. Nothing else of the folder, which may be the data directory, is read.
func (d Directory) Read(ctx context.Context) (Configuration, error) {
	found := Configuration{Tool: "files", Origin: repo.Origin{Directory: d.Path}}
	c := newCollector(disk{})
	if err := c.file(ctx, path.Join(d.Path, "postgresql.conf"), must, confIncludes, 0); err != nil {
		return found, err
	}
	// The last one counts, as in PostgreSQL.
	named := map[string]string{"data_directory": d.Path}
	for _, f := range c.files {
		parameters(string(f.Data), func(name, value string) { named[name] = value })
	}
	at := func(parameter, name string) string {
		p := named[parameter]
		switch {
		case p == "":
			return path.Join(d.Path, name)
		case !path.IsAbs(p): // PostgreSQL reads it as below its data directory
			return path.Join(named["data_directory"], p)
		}
		return p
	}
	for _, f := range []struct {
		path     string
		need     need
		includes func(string) []include
	}{
		{path.Join(named["data_directory"], "postgresql.auto.conf"), may, nil},
		{at("hba_file", "pg_hba.conf"), ought, hbaIncludes},
		{at("ident_file", "pg_ident.conf"), ought, hbaIncludes},
	} {
		if err := c.file(ctx, f.path, f.need, f.includes, 0); err != nil {
			return found, err
		}
	}
	found.Files, found.Skipped = c.files, c.skipped
	return found, nil
}

// maxFile bounds one file in bytes.
const maxFile = 8 << 20

// disk reads files of this machine.
type disk struct{}

func (disk) ReadFile(_ context.Context, p string) ([]byte, time.Time, error) {
	// A FIFO or a device in the place of a file must not hold us up.
	f, err := os.OpenFile(p, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, time.Time{}, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, time.Time{}, err
	}
	if !info.Mode().IsRegular() {
		return nil, time.Time{}, fmt.Errorf("read %s: it is no file (%s)", p, info.Mode().Type())
	}
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err == nil && len(data) > maxFile {
		err = fmt.Errorf("read %s: it has more than %d bytes, which no configuration has", p, maxFile)
	}
	return data, info.ModTime(), err
}

func (disk) ReadDir(_ context.Context, p string) ([]string, error) {
	entries, err := os.ReadDir(p)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		if e.Type()&fs.ModeDir == 0 {
			names = append(names, e.Name())
		}
	}
	return names, nil
}

// Package config shows what a configuration that was backed up would change today.
//
// What lives here: comparing two sets of files. What must not: reading today's
// configuration (package backup/config does, the face brings it), writing files
// (package unpack), flags and printing (the faces).
package config

import (
	"archive/tar"
	"bytes"
	"context"
	"fmt"
	"io"
	"slices"

	"github.com/rogpeppe/go-internal/diff"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/contents"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
)

// maxBytes bounds the memory for a configuration: twice what a backup stores.
const maxBytes = 128 << 20

// Difference between a backup and today.
type Difference struct {
	Changed []string // names of files that are not what they were
	Added   []string // are there today and were not
	Removed []string // were there and are not today
	// Text is a unified diff from today to the backup: applying it restores.
	Text []byte
}

// Equal tells whether there is none.
func (d Difference) Equal() bool { return len(d.Changed)+len(d.Added)+len(d.Removed) == 0 }

// Files reads the files of a config point, checked to the last byte.
func Files(ctx context.Context, r *repo.Repository, ref repo.Ref) (map[string][]byte, error) {
	p, err := r.OpenPoint(ctx, ref)
	if err != nil {
		return nil, err
	}
	files := map[string][]byte{}
	total := int64(0)
	_, err = contents.ReadPoint(ctx, p, func(h *tar.Header, body io.Reader) error {
		if h.Typeflag != tar.TypeReg {
			return nil
		}
		if total += h.Size; total > maxBytes || h.Size < 0 {
			return fmt.Errorf("%w: it has more than %d bytes, which no configuration has", repo.ErrDamaged, maxBytes)
		}
		data, err := io.ReadAll(body)
		files[h.Name] = data
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read the configuration in %s: %w", ref, err)
	}
	return files, nil
}

// Diff compares the files of a backup with today's, by name.
func Diff(backup, today map[string][]byte) Difference {
	var d Difference
	var names []string
	for name := range backup {
		names = append(names, name)
	}
	for name := range today {
		if _, both := backup[name]; !both {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for _, name := range names {
		now, is := today[name]
		then, was := backup[name]
		switch {
		case !was:
			d.Added = append(d.Added, name)
		case !is:
			d.Removed = append(d.Removed, name)
		case bytes.Equal(now, then):
			continue
		default:
			d.Changed = append(d.Changed, name)
		}
		d.Text = append(d.Text, diff.Diff("today/"+name, now, "backup/"+name, then)...)
	}
	return d
}

package foreign

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
)

// maxMembers bounds the files of a directory dump: one a table, and two more.
const maxMembers = 1_000_000

// member is what pg_dump -Fd calls its files. Others that lie beside them, such as
// the hidden ones of a desktop, are passed over.
var member = regexp.MustCompile(`^(?:toc\.dat|\d+\.dat(?:\.gz|\.lz4|\.zst)?|blobs(?:_\d+)?\.toc|blob_\d+\.dat(?:\.gz|\.lz4|\.zst)?)$`)

// unpacked is a directory dump in a folder of ours.
type unpacked struct {
	folder string
	bytes  int64
}

func (u *unpacked) remove() error { return os.RemoveAll(u.folder) }

// unpackTar writes the files of the one directory dump in a tar into a new folder
// below parent ("" = the system's for temporary files). limit bounds them in bytes.
func unpackTar(ctx context.Context, r io.Reader, parent string, limit int64) (u *unpacked, err error) {
	folder, err := os.MkdirTemp(parent, "pgbackup-foreign-*") // 0700
	if err != nil {
		return nil, fmt.Errorf("make room for the directory dump: %w", err)
	}
	u = &unpacked{folder: folder}
	defer func() {
		if err != nil {
			err = errors.Join(err, u.remove())
		}
	}()
	at, found := "", false // the folder in the tar
	in := tar.NewReader(r)
	for n := 0; ; n++ {
		if err := ctx.Err(); err != nil {
			return u, context.Cause(ctx)
		}
		h, err := in.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return u, tarError(err)
		}
		if n >= maxMembers {
			return u, fmt.Errorf("%w: the tar has more than %d members", ErrHostile, maxMembers)
		}
		if err := checkMember(h); err != nil {
			return u, err
		}
		dir, base := path.Split(path.Clean(h.Name))
		if h.Typeflag == tar.TypeDir || h.Typeflag == tar.TypeXGlobalHeader || !member.MatchString(base) {
			continue
		}
		if found && dir != at {
			return u, fmt.Errorf("%w: the tar has directory dumps in two folders, %q and %q: unpack it and give one of them", ErrUnknown, at, dir)
		}
		at, found = dir, true
		left := limit - u.bytes
		if h.Size > left {
			return u, fmt.Errorf("%w: what is in the tar needs more than the %d bytes that %s has room for; name another folder by TMPDIR", ErrHostile, limit, filepath.Dir(folder))
		}
		if err := writeMember(filepath.Join(folder, base), in, h.Size); err != nil {
			return u, err
		}
		u.bytes += h.Size
	}
	// What a compressor adds after the end of the tar has to be right too.
	if _, err := io.Copy(io.Discard, r); err != nil {
		return u, err
	}
	if !isDirectoryDump(folder) {
		return u, fmt.Errorf("%w: it is a tar without the %s of a directory dump: unpack it and give the file that is meant", ErrUnknown, toc)
	}
	return u, nil
}

// lastMember is what pg_dump -Ft writes at the end.
const lastMember = "restore.sql"

// checkTar reads a tar of pg_dump -Ft to its end. pg_restore, given one that is cut,
// reads on for ever.
func checkTar(ctx context.Context, r io.Reader) error {
	in := tar.NewReader(r)
	last := ""
	for n := 0; ; n++ {
		if err := ctx.Err(); err != nil {
			return context.Cause(ctx)
		}
		h, err := in.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return tarError(err)
		}
		if n >= maxMembers {
			return fmt.Errorf("%w: the tar has more than %d members", ErrHostile, maxMembers)
		}
		if err := checkMember(h); err != nil {
			return err
		}
		if h.Name != lastMember && !member.MatchString(h.Name) {
			return fmt.Errorf("%w: its member %q is not of a dump", ErrHostile, h.Name)
		}
		if _, err := io.Copy(io.Discard, in); err != nil {
			return tarError(err)
		}
		last = h.Name
	}
	if last != lastMember {
		return fmt.Errorf("%w: the tar ends with %q instead of %s", ErrTruncated, last, lastMember)
	}
	_, err := io.Copy(io.Discard, r)
	return err
}

// checkMember refuses what no directory dump has: everything that could lead out
// of the folder. Only base names are used later; such a tar is not what it seems.
func checkMember(h *tar.Header) error {
	name := h.Name
	switch {
	case h.Typeflag != tar.TypeReg && h.Typeflag != tar.TypeDir && h.Typeflag != tar.TypeGNUSparse && h.Typeflag != tar.TypeXGlobalHeader:
		return fmt.Errorf("%w: its member %q is a link or a device, which no dump has", ErrHostile, name)
	case strings.HasPrefix(name, "/"), strings.ContainsAny(name, "\\\x00"):
		return fmt.Errorf("%w: its member %q has an absolute or odd name", ErrHostile, name)
	}
	for part := range strings.SplitSeq(name, "/") {
		if part == ".." {
			return fmt.Errorf("%w: its member %q leads out of its folder", ErrHostile, name)
		}
	}
	return nil
}

func writeMember(name string, r io.Reader, size int64) error {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, os.ErrExist) {
		return fmt.Errorf("%w: the tar has %s twice", ErrHostile, filepath.Base(name))
	}
	if err != nil {
		return fmt.Errorf("unpack the directory dump: %w", err)
	}
	n, err := io.Copy(f, r)
	if err == nil && n != size {
		err = io.ErrUnexpectedEOF
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("unpack the directory dump: %w", tarError(err))
	}
	return nil
}

func tarError(err error) error {
	if errors.Is(err, tar.ErrHeader) {
		return fmt.Errorf("read the tar: %w: %w", errDamaged, err)
	}
	return fmt.Errorf("read the tar: %w", explain(err))
}

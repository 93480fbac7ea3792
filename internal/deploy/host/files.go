package host

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// File is a file to be on the host. Nothing in one is a secret, so all may be
// read by every user.
type File struct {
	Path    string
	Content string
	Mode    fs.FileMode
}

// Write brings files to the disk, each of them whole or not at all. A file that
// is there already with the same content and mode is not touched. Folders must
// exist.
func Write(files ...File) error {
	for _, f := range files {
		if err := write(f); err != nil {
			return fmt.Errorf("write %s: %w", f.Path, plain(err))
		}
	}
	return nil
}

func write(f File) error {
	if there, err := os.ReadFile(f.Path); err == nil && bytes.Equal(there, []byte(f.Content)) {
		return os.Chmod(f.Path, f.Mode)
	}
	// The name begins with a dot: neither systemd nor cron reads such a file.
	tmp, err := os.CreateTemp(filepath.Dir(f.Path), ".pgbackup-*")
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(tmp.Name()) }() // gone already when all went well
	_, err = tmp.WriteString(f.Content)
	if err == nil {
		err = tmp.Chmod(f.Mode)
	}
	if err == nil {
		err = tmp.Sync()
	}
	if err := errors.Join(err, tmp.Close()); err != nil {
		return err
	}
	if err := os.Rename(tmp.Name(), f.Path); err != nil {
		return err
	}
	return syncFolder(filepath.Dir(f.Path))
}

// syncFolder makes a rename survive a power cut.
func syncFolder(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// Remove deletes files; one that is gone already is not an error.
func Remove(paths ...string) error {
	var errs []error
	for _, p := range paths {
		if err := os.Remove(p); err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, fmt.Errorf("remove %s: %w", p, plain(err)))
		}
	}
	return errors.Join(errs...)
}

// plain drops the path an error of package os repeats.
func plain(err error) error {
	if pe := (*fs.PathError)(nil); errors.As(err, &pe) {
		return pe.Err
	}
	return err
}

package fetch

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// unfinished ends the name under which a file is written until it is whole. What a
// killed call left of one is removed once it is old.
const (
	unfinished = ".pgbackup-"
	leftover   = 10 * time.Minute
)

// place makes the file at path of what fill writes, in one step: it is whole and durable
// there, or what was there before stays.
func place(path string, fill func(io.Writer) error) error {
	removeLeft(path)
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+unfinished+"*")
	if err != nil {
		return fmt.Errorf("place it at %s: %w", path, err)
	}
	if err = fill(f); err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		_ = os.Remove(f.Name()) // the error says more
		return fmt.Errorf("place it at %s: %w", path, err)
	}
	return syncFolder(filepath.Dir(path))
}

// move places a file that is whole and durable elsewhere on this machine.
func move(from, path string) error {
	err := os.Rename(from, path)
	if errors.Is(err, syscall.EXDEV) {
		return copyTo(from, path)
	}
	if err != nil {
		return err
	}
	return syncFolder(filepath.Dir(path))
}

func copyTo(from, path string) error {
	f, err := os.Open(from)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	err = place(path, func(out io.Writer) error {
		_, err := io.Copy(out, f)
		return err
	})
	if err == nil {
		_ = os.Remove(from) // it is removed later otherwise
	}
	return err
}

// removeLeft removes what calls that were killed left beside the place. One that still
// writes touches its file all the time.
func removeLeft(path string) {
	found, _ := filepath.Glob(path + unfinished + "*") // fails for a pattern in the path alone
	for _, name := range found {
		if info, err := os.Lstat(name); err == nil && time.Since(info.ModTime()) > leftover {
			_ = os.Remove(name)
		}
	}
}

func syncFolder(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { _ = d.Close() }()
	if err := d.Sync(); err != nil {
		return fmt.Errorf("make the files of %s durable: %w", path, err)
	}
	return nil
}

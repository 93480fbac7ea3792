package scratch

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// unmade is how old a directory without a lock must be to count as left by a
// runner that died while making it.
const unmade = time.Hour

// Sweep clears away servers below directory ("" = the system's for temporary
// files) whose runner died: it ends those that still run and removes what they
// wrote. It returns the directories that were removed; those of living runners
// and of other users are left alone.
func Sweep(ctx context.Context, directory string, log *slog.Logger) (removed []string, err error) {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	if directory == "" {
		directory = os.TempDir()
	}
	entries, err := os.ReadDir(directory)
	if err != nil {
		if errors.Is(err, os.ErrNotExist) {
			return nil, nil
		}
		return nil, fmt.Errorf("look for scratch servers of dead runners: %w", err)
	}
	var errs []error
	for _, e := range entries {
		if !e.IsDir() || !strings.HasPrefix(e.Name(), dirPrefix) || ctx.Err() != nil {
			continue
		}
		dir, err := filepath.Abs(filepath.Join(directory, e.Name()))
		if err != nil || !mayBeOurs(dir) {
			continue
		}
		done, err := sweepOne(dir)
		if err != nil {
			errs = append(errs, fmt.Errorf("clear away the scratch server in %s: %w", dir, err))
		} else if done {
			log.Info("a scratch server that a dead runner left was cleared away", "directory", dir)
			removed = append(removed, dir)
		}
	}
	return removed, errors.Join(append(errs, context.Cause(ctx))...)
}

func sweepOne(dir string) (bool, error) {
	lock, gone := abandoned(dir)
	if !gone {
		return sweepUnmade(dir)
	}
	defer lock.Close()
	if err := endLeft(dir); err != nil {
		return false, err
	}
	var errs []error
	for _, d := range socketDirsElsewhere(dir) {
		if mayBeOurs(d) {
			errs = append(errs, os.RemoveAll(d))
		}
	}
	errs = append(errs, os.RemoveAll(dir))
	return true, errors.Join(errs...)
}

// sweepUnmade removes a directory that never came to have a lock.
func sweepUnmade(dir string) (bool, error) {
	info, err := os.Lstat(dir)
	if err != nil || time.Since(info.ModTime()) < unmade {
		return false, nil //nolint:nilerr // gone, or being made
	}
	if _, err := os.Lstat(filepath.Join(dir, lockName)); !errors.Is(err, os.ErrNotExist) {
		return false, nil
	}
	return true, os.RemoveAll(dir)
}

// mayBeOurs tells whether a directory belongs to this user, or to one that this
// user has servers run as.
func mayBeOurs(dir string) bool {
	uid, ok := ownerOf(dir)
	if !ok {
		return false
	}
	return uid == uint32(os.Getuid()) || slices.ContainsFunc(accounts(), func(a account) bool { return a.uid == uid })
}

func ownerOf(path string) (uint32, bool) {
	info, err := os.Lstat(path)
	if err != nil {
		return 0, false
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return 0, false
	}
	return stat.Uid, true
}

// endLeft ends the server that still runs in a directory. Its process id is
// believed only where that process is a server in this directory: numbers are
// given out again.
func endLeft(dir string) error {
	data := filepath.Join(dir, "data")
	b, err := os.ReadFile(filepath.Join(data, "postmaster.pid"))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	first, _, _ := bytes.Cut(b, []byte("\n"))
	pid, err := strconv.Atoi(string(bytes.TrimSpace(first)))
	if err != nil || pid <= 1 {
		return nil // it died before it wrote its number
	}
	serves := func() bool { return strings.Contains(commandLine(pid), data) }
	if !serves() {
		return nil
	}
	gone := make(chan struct{})
	over := make(chan struct{})
	defer close(over)
	go func() { // not our child: nobody tells when it ends
		defer close(gone)
		for serves() {
			select {
			case <-over:
				return
			case <-time.After(20 * time.Millisecond):
			}
		}
	}()
	return endProcess(pid, syscall.SIGQUIT, gone)
}

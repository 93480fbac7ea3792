package runnerdist

import (
	"crypto/sha256"
	"debug/elf"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// FromPath gives the builds at a path: one program, or a folder with one program
// pgbackup-runner* for each architecture. The architecture is read from the
// program itself, never from its name.
func FromPath(path string) (Set, error) {
	st, err := os.Stat(path)
	if err != nil {
		return Set{}, fmt.Errorf("runner_path: %w", err)
	}
	candidates := []string{path}
	if st.IsDir() {
		if candidates, err = filepath.Glob(filepath.Join(path, "pgbackup-runner*")); err != nil {
			return Set{}, fmt.Errorf("runner_path %s: %w", path, err)
		}
	}
	set := Set{origin: "runner_path " + path, hint: "put a program for it there: go build -o pgbackup-runner_linux_ARCH ./runner with GOOS=linux and GOARCH set"}
	for _, name := range candidates {
		b, err := fromFile(name)
		if err != nil && st.IsDir() && errors.Is(err, errNotProgram) {
			continue // a checksum or an archive beside it
		}
		if err != nil {
			return Set{}, fmt.Errorf("runner_path: %w", err)
		}
		if other, err := set.Find(b.Arch); err == nil && other.SHA256 != b.SHA256 {
			return Set{}, fmt.Errorf("runner_path %s has two different programs for linux/%s: keep one", path, b.Arch)
		}
		set.builds = append(set.builds, b)
	}
	if len(set.builds) == 0 {
		return Set{}, fmt.Errorf("runner_path %s: %w: there is no program pgbackup-runner* for linux in it", path, ErrNoBuild)
	}
	set.sort()
	return set, nil
}

var errNotProgram = errors.New("not a program for linux on x86_64 or arm64")

func fromFile(path string) (Build, error) {
	f, err := os.Open(path)
	if err != nil {
		return Build{}, err
	}
	defer f.Close()
	header, err := elf.NewFile(f)
	if err != nil {
		return Build{}, fmt.Errorf("%s is %w", path, errNotProgram)
	}
	b := Build{}
	switch header.Machine {
	case elf.EM_X86_64:
		b.Arch = AMD64
	case elf.EM_AARCH64:
		b.Arch = ARM64
	default:
		return Build{}, fmt.Errorf("%s is %w: it is for %s", path, errNotProgram, header.Machine)
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return Build{}, err
	}
	h := sha256.New()
	if b.Size, err = io.Copy(h, f); err != nil {
		return Build{}, fmt.Errorf("read %s: %w", path, err)
	}
	b.SHA256 = hex.EncodeToString(h.Sum(nil))
	b.open = func() (io.ReadCloser, error) { return os.Open(path) }
	return b, nil
}

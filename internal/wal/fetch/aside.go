package fetch

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/wal/spool"
)

// aside is the folder of what was fetched ahead: files named <segment>.<SHA-256>, and
// one with the name of the segment that was delivered last. A nil *aside has nothing.
type aside struct{ root *os.Root }

// Names in the folder that are of no segment.
const (
	lastName = "last"
	partial  = "partial-"
)

// openAside opens the folder of one place, system and directory to restore to.
func openAside(path, place, system, folder string) (*aside, error) {
	if path == "" {
		return nil, nil
	}
	key := sha256.Sum256([]byte(strings.Join([]string{place, system, folder}, "\x00")))
	root, err := spool.Open(path, "fetch-"+hex.EncodeToString(key[:16]))
	if err != nil {
		return nil, err
	}
	return &aside{root}, nil
}

func (a *aside) close() {
	if a != nil {
		_ = a.root.Close()
	}
}

// take places a segment that was fetched ahead. One that is not as it was written is
// removed, and counts as not there.
func (a *aside) take(name, to string, log *slog.Logger) bool {
	if a == nil {
		return false
	}
	for _, file := range a.files() {
		sum, ok := strings.CutPrefix(file, name+".")
		if !ok {
			continue
		}
		err := a.check(file, sum)
		if err == nil {
			err = move(filepath.Join(a.root.Name(), file), to)
		}
		if err == nil {
			return true
		}
		log.Warn("a segment that was fetched ahead can not be used; it is fetched again", "segment", name, "error", err)
		_ = a.root.Remove(file)
	}
	return false
}

// check reads a file against the hash in its name.
func (a *aside) check(file, sum string) error {
	f, err := a.root.Open(file)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	h := sha256.New()
	if _, err := io.CopyBuffer(struct{ io.Writer }{h}, struct{ io.Reader }{f}, make([]byte, 256<<10)); err != nil {
		return err
	}
	if got := hex.EncodeToString(h.Sum(nil)); got != sum {
		return fmt.Errorf("it changed on the disk: its SHA-256 is %s, not %s", got, sum)
	}
	return nil
}

// files are the names in the folder.
func (a *aside) files() []string {
	dir, err := a.root.Open(".")
	if err != nil {
		return nil
	}
	defer func() { _ = dir.Close() }()
	names, _ := dir.Readdirnames(-1) // what could be read is enough
	return names
}

// has tells whether a segment is there already.
func (a *aside) has(name string) bool {
	for _, file := range a.files() {
		if strings.HasPrefix(file, name+".") {
			return true
		}
	}
	return false
}

// put fetches a segment into the folder, checked and durable. What a killed call leaves
// has another name.
func (a *aside) put(name string, in *repo.WALReader) error {
	file := partial + name
	f, err := a.root.OpenFile(file, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	if _, err = in.WriteTo(f); err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = a.root.Rename(file, name+"."+in.Info().SHA256)
	}
	if err != nil {
		_ = a.root.Remove(file) // the error says more
	}
	return err
}

// keepOnly removes what was fetched ahead, but for these segments. Only who holds the
// lock of the folder may.
func (a *aside) keepOnly(names map[string]bool) {
	for _, file := range a.files() {
		name, _, is := strings.Cut(file, ".")
		if strings.HasPrefix(file, partial) || is && !names[name] {
			_ = a.root.Remove(file) // it is tried again by the next
		}
	}
}

// delivered notes which segment the server got last.
func (a *aside) delivered(name string) {
	if a != nil {
		_ = a.root.WriteFile(lastName, []byte(name+"\n"), 0o600) // without it nothing is fetched ahead
	}
}

func (a *aside) last() string {
	text, err := a.root.ReadFile(lastName)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return ""
	}
	return strings.TrimSpace(string(text))
}

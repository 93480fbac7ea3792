package push

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"os"
	"strings"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/pgwal"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/wal/spool"
)

// notes are small files, one for each WAL file that was stored ahead: its name, and in
// it the SHA-256 of the content and the repository's id. One that a crash cut short fits
// no content, so it is as good as none. A nil *notes keeps nothing and knows nothing.
type notes struct {
	root       *os.Root
	repository string
}

// maxNotes bounds how many are looked through when old ones are removed.
const maxNotes = 100_000

func isUnsafe(err error) bool { return errors.Is(err, spool.ErrUnsafe) }

// openNotes opens the notes of one place, system and folder: neither another cluster
// with the same spool nor a copy of this one finds them.
func openNotes(path, place, system, folder string) (*notes, error) {
	if path == "" {
		return nil, nil
	}
	key := sha256.Sum256([]byte(strings.Join([]string{place, system, folder}, "\x00")))
	root, err := spool.Open(path, "push-"+hex.EncodeToString(key[:16]))
	if err != nil {
		return nil, err
	}
	return &notes{root: root}, nil
}

func (n *notes) close() {
	if n != nil {
		_ = n.root.Close()
	}
}

// sum is the SHA-256 of the file of that name that was stored.
func (n *notes) sum(name string) (string, bool) {
	sum, _, ok := n.read(name)
	return sum, ok
}

func (n *notes) read(name string) (sum, repository string, ok bool) {
	if n == nil {
		return "", "", false
	}
	text, err := n.root.ReadFile(name)
	if err != nil {
		return "", "", false
	}
	sum, repository, ok = strings.Cut(strings.TrimSuffix(string(text), "\n"), " ")
	return sum, repository, ok
}

// of says which repository it is. Notes about one that was at its place before are
// removed.
func (n *notes) of(repository string) {
	if n == nil {
		return
	}
	n.repository = repository
	n.remove(func(name string) bool {
		_, noted, ok := n.read(name)
		return !ok || noted != repository
	})
}

// add notes that a file is stored durably.
func (n *notes) add(name, sum string) error {
	return n.root.WriteFile(name, []byte(sum+" "+n.repository+"\n"), 0o600)
}

// keep removes the notes about all files but those that still wait.
func (n *notes) keep(waiting map[string]bool) {
	if n != nil {
		n.remove(func(name string) bool { return !waiting[name] })
	}
}

// remove removes the notes that old is true for. What can not be removed does no harm.
func (n *notes) remove(old func(name string) bool) {
	for name := range n.names() {
		if old(name) {
			_ = n.root.Remove(name)
		}
	}
}

// names are those of the files that there are notes about.
func (n *notes) names() map[string]bool {
	names := map[string]bool{}
	if n == nil {
		return names
	}
	dir, err := n.root.Open(".")
	if err != nil {
		return names
	}
	defer func() { _ = dir.Close() }()
	found, _ := dir.Readdirnames(maxNotes) // what could be read is enough
	for _, name := range found {
		if kind, _ := pgwal.KindOfFile(name); kind != pgwal.NoFile {
			names[name] = true
		}
	}
	return names
}

package dir

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore"
)

// A temporary file is a pair in the reserved folder: <id>.data with the bytes,
// and <id>.key, a symbolic link that points nowhere: its target is the key. A
// link is made in one step with its whole text, so there is no half-written key
// after a crash, and any key fits where a file name has only 255 bytes.
const (
	dataSuffix = ".data"
	keySuffix  = ".key"
	keyMark    = "key:" // keeps the target from ever being a path
)

type temp struct {
	store *Store
	id    string
	file  *os.File
	gone  bool // the data file is published or removed
}

// newTemp makes an empty temporary file for key.
func (s *Store) newTemp(key string) (*temp, error) {
	if err := s.root.Mkdir(reserved, dirMode); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	t := &temp{store: s, id: rand.Text()}
	if err := s.root.Symlink(keyMark+key, t.name(keySuffix)); err != nil {
		return nil, err
	}
	f, err := s.root.OpenFile(t.name(dataSuffix), os.O_RDWR|os.O_CREATE|os.O_EXCL, fileMode)
	if err != nil {
		_ = s.root.Remove(t.name(keySuffix))
		return nil, err
	}
	t.file = f
	return t, nil
}

func (t *temp) name(suffix string) string { return filepath.Join(reserved, t.id+suffix) }

// discard closes the file and removes what is left of the pair. The key goes
// last: data without a key would belong to nobody.
func (t *temp) discard() error {
	if t.file != nil {
		_ = t.file.Close()
		t.file = nil
	}
	if !t.gone {
		if err := t.store.root.Remove(t.name(dataSuffix)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		t.gone = true
	}
	if err := t.store.root.Remove(t.name(keySuffix)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// AbortUploads removes the temporary files of keys under prefix, those of
// killed Puts included.
func (s *Store) AbortUploads(ctx context.Context, prefix string) (int, error) {
	n := 0
	err := s.eachTemp(ctx, prefix, func(id string, hasData bool) error {
		t := &temp{store: s, id: id, gone: !hasData}
		if err := t.discard(); err != nil {
			return err
		}
		if hasData {
			n++
		}
		return nil
	})
	if err != nil {
		return n, s.fail("abort uploads under", prefix, err)
	}
	return n, nil
}

// PendingUploads counts the temporary files of keys under prefix.
func (s *Store) PendingUploads(ctx context.Context, prefix string) (int, error) {
	n := 0
	err := s.eachTemp(ctx, prefix, func(_ string, hasData bool) error {
		if hasData {
			n++
		}
		return nil
	})
	if err != nil {
		return n, s.fail("list uploads under", prefix, err)
	}
	return n, nil
}

// eachTemp visits the pairs whose key starts with prefix. Data whose key is
// missing belongs to no key and is visited for the empty prefix only; a key
// without data is the last trace of a finished upload.
func (s *Store) eachTemp(ctx context.Context, prefix string, visit func(id string, hasData bool) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	folder, err := s.root.Open(reserved)
	if errors.Is(err, fs.ErrNotExist) {
		if _, serr := os.Stat(s.path); errors.Is(serr, fs.ErrNotExist) {
			return fmt.Errorf("%w: %s is gone; mount or create it", objstore.ErrNoBucket, s.path)
		}
		return nil
	}
	if err != nil {
		return err
	}
	names, err := folder.Readdirnames(-1)
	_ = folder.Close()
	if err != nil {
		return err
	}
	pairs := map[string]bool{} // id -> has data
	for _, name := range names {
		if id, ok := strings.CutSuffix(name, keySuffix); ok {
			pairs[id] = pairs[id] || false
		} else if id, ok := strings.CutSuffix(name, dataSuffix); ok {
			pairs[id] = true
		}
	}
	for id, hasData := range pairs {
		if err := ctx.Err(); err != nil {
			return err
		}
		target, err := s.root.Readlink(filepath.Join(reserved, id+keySuffix))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if !strings.HasPrefix(strings.TrimPrefix(target, keyMark), prefix) {
			continue
		}
		if err := visit(id, hasData); err != nil {
			return err
		}
	}
	return nil
}

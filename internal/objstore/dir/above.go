package dir

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
)

// Above looks at the folders that the directory lies in, as they are on the disk:
// a link to the directory lies elsewhere.
func (s *Store) Above(ctx context.Context, key string) (places []string, err error) {
	if err := s.check(ctx, "look above for", key); err != nil {
		return nil, err
	}
	at, err := filepath.EvalSymlinks(s.path)
	if err != nil {
		return nil, fmt.Errorf("look above %s for %s: %w", s.URL(), key, classify(err))
	}
	for parent := filepath.Dir(at); parent != at; at, parent = parent, filepath.Dir(parent) {
		if _, err := os.Stat(filepath.Join(parent, filepath.FromSlash(key))); err == nil {
			places = append(places, urlOf(parent))
		}
	}
	return places, nil
}

// urlOf is file:// and an absolute path.
func urlOf(path string) string {
	p := filepath.ToSlash(path)
	if !strings.HasPrefix(p, "/") {
		p = "/" + p // a Windows drive letter
	}
	return (&url.URL{Scheme: "file", Path: p}).String()
}

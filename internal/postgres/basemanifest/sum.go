package basemanifest

import (
	"crypto/sha256"
	"fmt"
	"hash"
)

// The last line of a manifest is its own checksum, of everything before that line.
const (
	lastLineHead = `"Manifest-Checksum": "`
	lastLineTail = "\"}\n"
	lastLine     = len(lastLineHead) + 2*sha256.Size + len(lastLineTail)
)

// sum computes the SHA-256 of all but the last line, whose length is known.
type sum struct {
	hash hash.Hash
	held []byte // not yet in hash: it may be the last line
}

func newSum() *sum { return &sum{hash: sha256.New()} }

// Write implements io.Writer.
func (s *sum) Write(b []byte) (int, error) {
	s.held = append(s.held, b...)
	if n := len(s.held) - lastLine; n > 0 {
		s.hash.Write(s.held[:n])
		s.held = append(s.held[:0], s.held[n:]...)
	}
	return len(b), nil
}

// check compares with the checksum that was read.
func (s *sum) check(want string) error {
	if string(s.held) != lastLineHead+want+lastLineTail {
		return fmt.Errorf("%w: its last line is not its checksum", ErrDamaged)
	}
	if got := fmt.Sprintf("%x", s.hash.Sum(nil)); got != want {
		return fmt.Errorf("%w: its SHA-256 is not the one in its last line", ErrDamaged)
	}
	return nil
}

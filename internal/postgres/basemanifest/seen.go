package basemanifest

import (
	"fmt"
	"hash/maphash"
)

// Seen remembers the files of a tar, to be held against the manifest, which comes
// last: some 20 bytes a file, so that a server with a hundred thousand tables does not
// show in the memory.
type Seen struct {
	seed  maphash.Seed
	files []seenFile
	next  int            // the file that the manifest is expected to name next
	other map[uint64]int // the files by name, once it named another one
	named int
}

type seenFile struct {
	name uint64 // hash
	size int64  // -1 once it was named
	crc  uint32
}

// NewSeen has seen nothing.
func NewSeen() *Seen { return &Seen{seed: maphash.MakeSeed()} }

// Add notes a file, with its CRC-32C as Sum has it.
func (s *Seen) Add(path string, size int64, crc uint32) {
	s.files = append(s.files, seenFile{maphash.String(s.seed, path), size, crc})
}

// Check holds a file of the manifest against what was seen under its name.
func (s *Seen) Check(f File) error {
	i, ok := s.find(maphash.String(s.seed, f.Path))
	if !ok {
		return fmt.Errorf("the backup manifest has %s, which did not come", f.Path)
	}
	got := &s.files[i]
	switch {
	case got.size < 0:
		return fmt.Errorf("the backup manifest has %s twice", f.Path)
	case got.size != f.Size:
		return fmt.Errorf("%s came with %d bytes, and the backup manifest says %d", f.Path, got.size, f.Size)
	case CRC32C(got.crc) != f.CRC32C:
		return fmt.Errorf("%s came with CRC-32C %s, and the backup manifest says %s: it changed after the server read it", f.Path, CRC32C(got.crc), f.CRC32C)
	}
	got.size = -1
	s.named++
	return nil
}

// find looks where the file is in the order it came in, which is the manifest's.
// In any other order it is looked up.
func (s *Seen) find(name uint64) (int, bool) {
	if s.next < len(s.files) && s.files[s.next].name == name {
		s.next++
		return s.next - 1, true
	}
	if s.other == nil {
		s.other = make(map[uint64]int, len(s.files))
		for i, f := range s.files {
			s.other[f.name] = i
		}
	}
	i, ok := s.other[name]
	return i, ok
}

// Complete holds that nothing was seen that the manifest does not have.
func (s *Seen) Complete() error {
	if extra := len(s.files) - s.named; extra > 0 {
		return fmt.Errorf("%d files came that the backup manifest does not have", extra)
	}
	return nil
}

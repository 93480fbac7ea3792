package objstore

import (
	"fmt"
	"sync"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore/checksum"
)

// MaxPut is the size in bytes of the largest object Put takes.
const MaxPut = 64 << 20

// Parts keeps account of the parts of one Upload for those who implement or
// wrap it. The zero value is ready; it may be used concurrently.
type Parts struct {
	Size int // as PutOptions.PartSize

	mu   sync.Mutex
	sent map[int]part
}

type part struct {
	size int
	crc  uint64
}

// Each is the size in bytes of every part but the last.
func (p *Parts) Each() int {
	if p.Size == 0 {
		return PartSize
	}
	return min(max(p.Size, MinPartSize), PartSize)
}

// Check reports why part n with data can not be part of an Upload.
func (p *Parts) Check(n int, data []byte) error {
	if n < 1 || n > MaxParts {
		return fmt.Errorf("part number %d is not in 1..%d", n, MaxParts)
	}
	if len(data) > p.Each() {
		return fmt.Errorf("part %d has %d bytes; at most %d are allowed", n, len(data), p.Each())
	}
	return nil
}

// Sent notes that part n of size bytes, with that CRC64NVME, arrived.
func (p *Parts) Sent(n, size int, crc uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.sent == nil {
		p.sent = map[int]part{}
	}
	p.sent[n] = part{size, crc}
}

// Whole describes the object the parts make: how many there are, its size in
// bytes and its CRC64NVME. It is an error when one is missing or short.
func (p *Parts) Whole() (count int, size int64, crc uint64, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	count = len(p.sent)
	for n := 1; n <= count; n++ {
		one, ok := p.sent[n]
		if !ok {
			return 0, 0, 0, fmt.Errorf("part %d was not sent although %d others were", n, count)
		}
		if n < count && one.size != p.Each() {
			return 0, 0, 0, fmt.Errorf("part %d of %d has %d bytes; all but the last must have %d", n, count, one.size, p.Each())
		}
		size += int64(one.size)
		crc = checksum.Combine(crc, one.crc, int64(one.size))
	}
	return count, size, crc, nil
}

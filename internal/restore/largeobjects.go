package restore

import (
	"context"
	"io"
)

// largeObjectBlocks reads the entries of large objects one after the other, as
// they lie in the archive. Newer pg_dumps write one for every thousand objects.
type largeObjectBlocks struct {
	ctx  context.Context
	run  *run
	next int // of the index's entries
	body io.ReadCloser
}

func (b *largeObjectBlocks) Read(p []byte) (int, error) {
	for {
		if b.body != nil {
			n, err := b.body.Read(p)
			if n > 0 || err != io.EOF {
				return n, err
			}
			b.close()
		}
		entries := b.run.index.Entries
		for b.next < len(entries) && !b.run.loadsLargeObjects(entries[b.next]) {
			b.next++
		}
		if b.next == len(entries) {
			return 0, io.EOF
		}
		e := entries[b.next]
		b.next++
		var err error
		if b.body, err = b.run.point.Range(b.ctx, b.run.index, e.From, e.To); err != nil {
			return 0, err
		}
	}
}

func (b *largeObjectBlocks) close() {
	if b.body != nil {
		b.body.Close()
		b.body = nil
	}
}

// errorKeeper remembers why a reader failed: a child process that reads from it
// only sees its input end.
type errorKeeper struct {
	r   io.Reader
	err error
}

func (k *errorKeeper) Read(b []byte) (int, error) {
	n, err := k.r.Read(b)
	if err != nil && err != io.EOF {
		k.err = err
	}
	return n, err
}

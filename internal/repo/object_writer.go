package repo

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"sync"

	"github.com/minio/crc64nvme"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore"
)

// objectWriter stores one data object from frames that come in order: hashes
// them, cuts them into parts and keeps a bounded number of parts in flight. An
// object that fits one part is put whole.
type objectWriter struct {
	point  *PointWriter
	ctx    context.Context
	fail   context.CancelCauseFunc
	failed context.CancelCauseFunc // of the stream
	object Object
	key    string

	upload objstore.Upload // nil until a second part is needed
	part   []byte
	n      int // parts sent
	wg     sync.WaitGroup

	size int64
	sha  hash.Hash
	crc  hash.Hash64
}

// newObject begins an object; failed is told at once when a part in flight fails.
func (p *PointWriter) newObject(ctx context.Context, failed context.CancelCauseFunc, stream string, number int, ordinal uint32) *objectWriter {
	name := fmt.Sprintf("%s.%04d", stream, number)
	w := &objectWriter{
		point: p, failed: failed, key: p.ref.DataPrefix() + name, sha: sha256.New(), crc: crc64nvme.New(),
		object: Object{Name: name, Stream: stream, Ordinal: ordinal, Compression: "zstd"},
	}
	w.ctx, w.fail = context.WithCancelCause(ctx)
	return w
}

func (w *objectWriter) write(frame []byte, plain int64) error {
	w.object.Chunks++
	w.object.PlainSize += plain
	w.size += int64(len(frame))
	w.sha.Write(frame)
	w.crc.Write(frame)
	for len(frame) > 0 {
		if len(w.part) == w.point.opts.PartSize {
			if err := w.send(); err != nil {
				return err
			}
		}
		if w.part == nil {
			if err := w.takePart(); err != nil {
				return err
			}
		}
		n := min(len(frame), w.point.opts.PartSize-len(w.part))
		w.part = append(w.part, frame[:n]...)
		frame = frame[n:]
	}
	return nil
}

// takePart waits until fewer than the allowed parts are in flight.
func (w *objectWriter) takePart() error {
	select {
	case w.part = <-w.point.parts:
		if w.part == nil {
			w.part = make([]byte, 0, w.point.opts.PartSize)
		}
		return nil
	case <-w.ctx.Done():
		return context.Cause(w.ctx)
	}
}

func (w *objectWriter) send() error {
	if w.upload == nil {
		opts, err := w.point.putOptions(w.ctx)
		if err != nil {
			return err
		}
		upload, err := w.point.repo.store.Create(w.ctx, w.key, opts)
		if err != nil {
			return err
		}
		w.upload = upload
	}
	w.n++
	n, part := w.n, w.part
	w.part = nil
	w.wg.Go(func() {
		err := w.upload.Part(w.ctx, n, part)
		w.point.parts <- part[:0]
		if err != nil {
			w.failed(err)
			w.fail(err)
		}
	})
	return nil
}

// complete makes the object visible and compares the store's own checksum of
// all of it with ours.
func (w *objectWriter) complete() (Object, error) {
	info, err := w.finish()
	if err != nil {
		w.abort()
		return Object{}, err
	}
	w.fail(nil)
	w.object.Size = w.size
	w.object.SHA256 = hex.EncodeToString(w.sha.Sum(nil))
	w.object.VersionID = info.VersionID
	switch {
	case info.Size != w.size:
		return Object{}, fmt.Errorf("%s: %w: the store has %d bytes, %d were sent", w.key, objstore.ErrChecksum, info.Size, w.size)
	case info.CRC64NVME == nil:
		w.point.uncheckedObject()
	case *info.CRC64NVME != w.crc.Sum64():
		return Object{}, fmt.Errorf("%s: %w: the store computed another CRC64NVME over the object than we did", w.key, objstore.ErrChecksum)
	}
	return w.object, nil
}

func (w *objectWriter) finish() (objstore.Info, error) {
	if w.upload == nil {
		opts, err := w.point.putOptions(w.ctx)
		var info objstore.Info
		if err == nil {
			info, err = w.point.repo.store.Put(w.ctx, w.key, w.part, opts)
		}
		w.returnPart()
		return info, err
	}
	if len(w.part) > 0 {
		if err := w.send(); err != nil {
			return objstore.Info{}, err
		}
	}
	w.wg.Wait()
	if err := context.Cause(w.ctx); err != nil {
		return objstore.Info{}, err
	}
	return w.upload.Complete(w.ctx)
}

func (w *objectWriter) returnPart() {
	if w.part != nil {
		w.point.parts <- w.part[:0]
		w.part = nil
	}
}

// abort discards the upload; what a killed process can not abort, the next
// run's sweep does.
func (w *objectWriter) abort() {
	w.fail(context.Canceled)
	w.wg.Wait()
	w.returnPart()
	if w.upload != nil {
		if err := w.upload.Abort(); err != nil {
			w.point.repo.log.Warn("aborting an upload failed; the next run clears it", "key", w.key, "error", err)
		}
	}
}

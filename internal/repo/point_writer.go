package repo

import (
	"context"
	"errors"
	"fmt"
	"sort"
	"sync"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/seal"
)

// WriterOptions of NewPoint.
type WriterOptions struct {
	Parent       string // id of the point an incremental builds on
	Buffers      int    // chunks of plain bytes in flight (default 3)
	Parts        int    // parts in flight to the store (default 3)
	VerifyStored bool   // decode our own output again before storing it
	StorageClass string
}

// PointWriter makes one recovery point: streams first, then Commit. Until
// Commit returned there is no point, only data that the next run sweeps.
type PointWriter struct {
	repo   *Repository
	ref    Ref
	start  time.Time
	opts   WriterOptions
	codec  *codec
	header *SealHeader
	pool   chan *Buffer
	parts  chan []byte

	mu        sync.Mutex
	next      uint32
	objects   []Object
	unchecked bool
}

// NewPoint begins a recovery point that started at start. The caller holds the
// source's lease.
func (r *Repository) NewPoint(source, kind string, start time.Time, opts WriterOptions) (*PointWriter, error) {
	if err := CheckSource(source); err != nil {
		return nil, err
	}
	if err := r.needKey("write a recovery point"); err != nil {
		return nil, err
	}
	if opts.Buffers <= 0 {
		opts.Buffers = 3
	}
	if opts.Parts <= 0 {
		opts.Parts = 3
	}
	p := &PointWriter{repo: r, start: start.UTC(), opts: opts, pool: newPool(opts.Buffers), parts: make(chan []byte, opts.Parts)}
	for range opts.Parts {
		p.parts <- nil
	}
	p.ref = Ref{Source: source, Kind: kind, ID: NewID(start), Parent: opts.Parent}
	var key *seal.PointKey
	if r.key != nil {
		var wrapped []byte
		key, wrapped = r.key.NewPointKey(r.header.ID, p.ref.String())
		p.header = &SealHeader{Algorithm: "AES-256-GCM", RepositoryKey: r.key.ID(), PointKey: wrapped}
	}
	p.codec = newCodec(r.header.ID, p.ref, key)
	return p, nil
}

// Ref of the point being made.
func (p *PointWriter) Ref() Ref { return p.ref }

func (p *PointWriter) ordinal() uint32 {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.next++
	return p.next - 1
}

func (p *PointWriter) addObjects(objects []Object) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.objects = append(p.objects, objects...)
}

func (p *PointWriter) uncheckedObject() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.unchecked = true
}

func (p *PointWriter) putOptions() objstore.PutOptions {
	return objstore.PutOptions{StorageClass: p.opts.StorageClass}
}

// WriteStream stores data as a whole stream.
func (p *PointWriter) WriteStream(ctx context.Context, name string, data []byte) error {
	s := p.Stream(ctx, name, 1)
	if _, err := s.Write(data); err != nil {
		s.Fail(err)
	}
	_, err := s.Close()
	return err
}

// Commit writes the manifest, and with it the point exists. It fills in what
// the writer knows (identity, objects, seal, the store's checksum); the caller
// fills in the rest. ErrFenced when another run declared this one dead.
func (p *PointWriter) Commit(ctx context.Context, m *Manifest) error {
	m.Format = ManifestFormat
	m.ID, m.Source, m.Kind, m.Parent = p.ref.ID, p.ref.Source, p.ref.Kind, p.ref.Parent
	m.Repository = p.repo.header.ID
	m.Start, m.End = p.start, m.End.UTC()
	m.Seal = p.header
	m.Objects = append([]Object(nil), p.objects...)
	sort.Slice(m.Objects, func(i, j int) bool { return m.Objects[i].Ordinal < m.Objects[j].Ordinal })
	m.Verification.StoreChecksum = "crc64nvme"
	if p.unchecked {
		m.Verification.StoreChecksum = ""
	}
	if err := m.check(p.ref, p.repo.header.ID, p.repo.Sealed()); err != nil {
		return fmt.Errorf("commit %s: %w", p.ref, err)
	}
	data, err := encodeManifest(m, p.repo.key)
	if err != nil {
		return err
	}
	return p.repo.commit(ctx, p.ref, data)
}

// commitAttempts bounds how often an unanswered commit is asked again.
const commitAttempts = 5

// commit writes a manifest if absent. An answer is not believed before the
// store was read back: a 412 may be our own earlier success, and a time-out may
// hide one.
func (r *Repository) commit(ctx context.Context, ref Ref, data []byte) error {
	key := ref.ManifestKey()
	var last error
	for attempt := range commitAttempts {
		if attempt > 0 {
			if err := pause(ctx, time.Duration(attempt)*time.Second); err != nil {
				return errors.Join(last, err)
			}
		}
		_, err := r.store.Put(ctx, key, data, objstore.PutOptions{
			Condition: objstore.Condition{IfAbsent: true}, ContentType: "application/json"})
		if err == nil {
			return nil
		}
		last = err
		if !errors.Is(err, objstore.ErrPrecondition) && !errors.Is(err, objstore.ErrTransient) {
			return fmt.Errorf("commit %s: %w", ref, err)
		}
		stored, readErr := readSmall(ctx, r.store, key, maxManifest)
		switch {
		case readErr == nil && string(stored) == string(data):
			return nil
		case readErr == nil && len(stored) == 0:
			return fmt.Errorf("commit %s: %w: its lease was lost (was this machine asleep, or the store unreachable?); nothing of it is kept, the next backup starts anew", ref, ErrFenced)
		case readErr == nil:
			return fmt.Errorf("commit %s: another manifest already has its key %s", ref, key)
		case !errors.Is(readErr, objstore.ErrNotFound):
			last = errors.Join(err, readErr)
		}
	}
	return fmt.Errorf("commit %s: the store did not confirm the manifest: %w", ref, last)
}

// Abort removes what was stored for the point, as far as the store lets it.
func (p *PointWriter) Abort(ctx context.Context) error {
	return p.repo.deleteData(ctx, p.ref)
}

func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

package repo

import (
	"context"
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
	PartSize     int    // of these, in bytes (default and at most objstore.PartSize)
	Chunk        int    // plain bytes in one chunk, at most and by default ChunkSize: with smaller ones all takes less memory, and the index has more of them
	VerifyStored bool   // decode our own output again before storing it
	StorageClass string // of the data objects; "" = the bucket's default
	// Tags of the data objects, such as TierTags. Manifests and marks have none.
	// Stores without tags ignore them.
	Tags map[string]string

	chunksPerObject uint32 // where a stream goes on in another object
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
	frames chan []byte // memory of stored chunks that streams have done with

	mu        sync.Mutex
	next      uint32
	objects   []Object
	unchecked bool
	streams   map[string]streamState
	tried     bool // a commit was sent: a manifest may exist whatever came back
}

// NewPoint begins a recovery point that started at start. The caller holds the
// source's lease.
func (r *Repository) NewPoint(source, kind string, start time.Time, opts WriterOptions) (*PointWriter, error) {
	if err := CheckSource(source); err != nil {
		return nil, err
	}
	if !validKind(kind) {
		return nil, fmt.Errorf("%q is not a kind of recovery point", kind)
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
	if opts.Chunk <= 0 || opts.Chunk > ChunkSize {
		opts.Chunk = ChunkSize
	}
	if opts.PartSize <= 0 || opts.PartSize > objstore.PartSize {
		opts.PartSize = objstore.PartSize
	}
	opts.PartSize = max(opts.PartSize, objstore.MinPartSize)
	if opts.chunksPerObject == 0 {
		opts.chunksPerObject = uint32(chunksPerObject * (ChunkSize / opts.Chunk))
	}
	p := &PointWriter{repo: r, start: start.UTC(), opts: opts, pool: newPool(opts.Buffers, opts.Chunk),
		parts: make(chan []byte, opts.Parts), frames: make(chan []byte, opts.Buffers), streams: map[string]streamState{}}
	for range opts.Parts {
		p.parts <- nil
	}
	p.ref = Ref{Source: source, Kind: kind, ID: NewID(start), Parent: opts.Parent}
	var key *seal.PointKey
	if r.key != nil {
		var wrapped []byte
		key, wrapped = r.key.NewPointKey(r.header.ID, p.ref.String())
		p.header = &SealHeader{Algorithm: "AES-256-GCM", RepositoryKey: r.key.ID(), PointKey: wrapped, OuterKey: r.outer}
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

// frame returns room for one stored chunk. It is given back with spare, so that
// the small streams of a point use the memory of the large one.
func (p *PointWriter) frame() []byte {
	select {
	case f := <-p.frames:
		return f
	default:
		return make([]byte, 0, frameRoom(p.opts.Chunk))
	}
}

func (p *PointWriter) spare(f []byte) {
	select {
	case p.frames <- f:
	default:
	}
}

// streamState of every stream that was begun: a point is committed only when
// all of them were stored to their end.
type streamState int

const (
	streamOpen streamState = iota
	streamStored
	streamFailed
)

func (p *PointWriter) streamBegun(name string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.streams[name] = streamOpen
}

func (p *PointWriter) streamFailed(name string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.streams[name] = streamFailed
}

func (p *PointWriter) streamStored(name string, objects []Object) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.streams[name] = streamStored
	p.objects = append(p.objects, objects...)
}

// unfinished returns why the point can not be committed yet.
func (p *PointWriter) unfinished() error {
	for name, state := range p.streams {
		switch state {
		case streamOpen:
			return fmt.Errorf("its stream %s was not closed", name)
		case streamFailed:
			return fmt.Errorf("its stream %s was not stored", name)
		}
	}
	return nil
}

func (p *PointWriter) uncheckedObject() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.unchecked = true
}

func (p *PointWriter) putOptions(ctx context.Context) (objstore.PutOptions, error) {
	return p.repo.locked(ctx, objstore.PutOptions{StorageClass: p.opts.StorageClass, Tags: p.opts.Tags, PartSize: p.opts.PartSize})
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
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.unfinished(); err != nil {
		return fmt.Errorf("commit %s: %w", p.ref, err)
	}
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
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	p.tried = true
	return p.repo.commit(ctx, p.ref, data)
}

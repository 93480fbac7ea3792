package repo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore"
)

// ghostTries bounds how often a lease is asked for that the store says is there
// and yet can not be read.
const ghostTries = 5

// take writes the first document of the lease: onto an empty place, or over that
// of a holder who released it, is gone, or was not seen renewing it for a TTL.
func (l *Lease) take(ctx context.Context, source string, noWait bool) error {
	var watched string // the ETag of the present holder, unchanged since watching
	var since time.Time
	for ghosts := 0; ; {
		current, etag, err := l.read(ctx)
		if errors.Is(err, objstore.ErrNotFound) {
			err := l.write(ctx, objstore.Condition{IfAbsent: true})
			if err == nil || !errors.Is(err, objstore.ErrPrecondition) {
				return l.wrap("take", err)
			}
			// Somebody took it just now, or left a delete marker over which this
			// store writes nothing "if absent".
			if ghosts++; ghosts >= ghostTries {
				return l.wrap("take", fmt.Errorf("the store says it is there and that it is not: if somebody deleted %s, remove its delete marker too: %w", l.key, err))
			}
			if err := pause(ctx, min(l.ttl/12, 200*time.Millisecond)); err != nil {
				return err
			}
			continue
		}
		if err != nil {
			return l.wrap("read", err)
		}
		state := current.Holder.state(l.doc.Holder)
		free := current.Released || state == gone
		locked := &LockedError{Source: source, Holder: current.Holder, What: current.What, Since: current.Taken}
		if etag != watched {
			if watched != "" && !free {
				return locked // it was renewed before our eyes: alive
			}
			watched, since = etag, time.Now()
		}
		switch {
		case free, time.Since(since) >= l.ttl:
			err := l.write(ctx, objstore.Condition{IfMatch: etag})
			if isTaken(err) {
				continue // somebody else was faster: look again
			}
			if err == nil && !current.Released {
				l.log.Warn("took over the lease of a run that died", "source", source, "holder", current.Holder.String(), "since", current.Taken)
			}
			return l.wrap("take", err)
		case state == running, noWait:
			return locked
		}
		if err := pause(ctx, min(l.ttl/12, 5*time.Second)); err != nil {
			return err
		}
	}
}

func (l *Lease) wrap(verb string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s lease %s of %s: %w", verb, l.key, l.store.URL(), err)
}

// maxLease bounds what is read of a lease in bytes.
const maxLease = 64 << 10

func (l *Lease) read(ctx context.Context) (leaseDocument, string, error) {
	body, info, err := l.store.Get(ctx, l.key, objstore.GetOptions{})
	if err != nil {
		return leaseDocument{}, "", err
	}
	defer func() { _ = body.Close() }()
	data, err := io.ReadAll(io.LimitReader(body, maxLease))
	if err != nil {
		return leaseDocument{}, "", err
	}
	var doc leaseDocument
	if err := json.Unmarshal(data, &doc); err != nil {
		// A lease nobody can read belongs to nobody we can ask: it is waited
		// for like one of another host.
		doc = leaseDocument{What: "run with an unreadable lease", Holder: Holder{Host: "an unknown host"}, Taken: info.Modified}
	}
	if info.ETag == "" {
		return doc, "", fmt.Errorf("%s has no ETag: %w; two runs could not be kept apart here", l.key, objstore.ErrUnsupported)
	}
	return doc, info.ETag, nil
}

// write stores the document under the condition. After an unclear answer the
// lease is read back: what we find is what is.
func (l *Lease) write(ctx context.Context, c objstore.Condition) error {
	begun := time.Now()
	data, err := json.Marshal(l.doc)
	if err != nil {
		return err
	}
	info, err := l.store.Put(ctx, l.key, data, objstore.PutOptions{Condition: c, ContentType: "application/json"})
	if err != nil {
		current, etag, readErr := l.read(ctx)
		if readErr != nil || current.Holder != l.doc.Holder || current.Renewals != l.doc.Renewals || current.Released != l.doc.Released {
			return err
		}
		info.ETag = etag
	}
	l.etag, l.seen = info.ETag, begun
	return nil
}

// replaceOwn stores the document over the one we wrote before. An earlier write
// whose answer never came may have changed the ETag that we know: as long as the
// nonce is ours, so is the lease.
func (l *Lease) replaceOwn(ctx context.Context) error {
	err := l.write(ctx, objstore.Condition{IfMatch: l.etag})
	if !errors.Is(err, objstore.ErrPrecondition) {
		return err
	}
	current, etag, readErr := l.read(ctx)
	switch {
	case readErr != nil && !isTaken(readErr):
		return readErr // not known: asked again until the TTL is used up
	case readErr != nil || current.Holder != l.doc.Holder:
		return err
	}
	return l.write(ctx, objstore.Condition{IfMatch: etag})
}

package receive

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/pgwal"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
)

// A server may come back as it was earlier: a virtual machine that was set back to a
// snapshot, a copy that was started in its place, a disk that lost what it had
// promised. It has the same system identifier and the same timeline, and writes another
// log over the positions that were received already. Where it has caught up with them
// its stream seems to go on where the last one ended; no recovery gets across.
//
// So what a stream begins with is held against what is there: the first record against
// the last one (a record names the one before it, and what crosses has a checksum), and
// the bytes of a segment against the pieces of it that are in the archive.

// seam is where a stream meets what was received before it.
type seam struct {
	at     pgwal.LSN // the first record that ends behind it has to continue what is before
	joined bool      // it did, or there is nothing to hold it against
	pieces []proof   // in order of their ends
}

// proof is a piece in the archive, and the SHA-256 of its bytes.
type proof struct {
	span
	sum string
}

// check holds what a segment has, up to a number of bytes, against what was there. It
// wraps repo.ErrWALDiffers.
func (m *seam) check(s *segment, have uint32) error {
	if m == nil {
		return nil
	}
	err := m.prove(s, have)
	if err == nil && !m.joined {
		err = m.join(s)
	}
	if errors.Is(err, repo.ErrWALDiffers) && s.have == 0 {
		_ = s.file.Truncate(0) // the next receiver must not take it for something of use
	}
	return err
}

// prove compares the pieces of which all is there.
func (m *seam) prove(s *segment, have uint32) error {
	for len(m.pieces) > 0 && m.pieces[0].to <= have {
		p := m.pieces[0]
		m.pieces = m.pieces[1:]
		sum := sha256.New()
		if _, err := io.Copy(sum, io.NewSectionReader(s.file, int64(p.from), int64(p.size()))); err != nil {
			return fmt.Errorf("read %s in the spool: %w", s.name, err)
		}
		if hex.EncodeToString(sum.Sum(nil)) != p.sum {
			_ = s.file.Truncate(0) // as above
			return differs(s.start()+pgwal.LSN(p.from), fmt.Errorf("the bytes %d to %d of %s are others", p.from, p.to, s.name))
		}
	}
	return nil
}

// join looks at the first record that ends behind the seam.
func (m *seam) join(s *segment) error {
	scan, err := s.scan.Scan()
	switch {
	case err != nil:
		return nil //nolint:nilerr // its first page is not all there, or it is none, which is told when it is stored
	case scan.End > m.at:
		m.joined = true
	case scan.Stop != nil:
		return differs(m.at, fmt.Errorf("its log ends at %s, %w", scan.End, scan.Stop))
	}
	return nil
}

func differs(at pgwal.LSN, why error) error {
	return fmt.Errorf("%w: what the server sends does not continue at %s what was received of it before (%w): it was set back to an earlier state, or is a copy, "+
		"and goes on with the same timeline; nothing of it is stored here; give it another --source, and take a base backup", repo.ErrWALDiffers, at, why)
}

// goOn has what comes next for a segment that is open held against what there is of it.
func (s *stream) goOn(open *segment, at pgwal.LSN) {
	m := &seam{at: at}
	if open.seam != nil {
		m.pieces = open.seam.pieces
	}
	scan, err := open.scan.Scan()
	m.joined = err != nil || scan.Stop != nil // it was told of already
	open.seam = m
}

// proofs are what pieces of a segment in the archive say of their bytes. Those that are
// gone or damaged say nothing.
func (r *receiver) proofs(ctx context.Context, archive repo.WALArchive, name string, pieces []span) ([]proof, error) {
	var all []proof
	for _, p := range pieces {
		f, err := repo.NewWALFile(archive, name, p.from, p.to)
		if err != nil {
			return nil, err
		}
		info, err := r.Repo.WALInfo(ctx, f)
		switch {
		case errors.Is(err, repo.ErrNotFound), errors.Is(err, repo.ErrDamaged):
		case err != nil:
			return nil, err
		default:
			all = append(all, proof{p, info.SHA256})
		}
	}
	return all, nil
}

// archivedBefore scans the whole segment before one, as it is in the archive; nil where
// there is none, or where its own log does not go to its end.
func (s *stream) archivedBefore(ctx context.Context, at pgwal.Segment) (*pgwal.Scanner, error) {
	if at.Number == 0 {
		return nil, nil
	}
	before := pgwal.Segment{Timeline: at.Timeline, Number: at.Number - 1}
	in, err := s.Repo.OpenWAL(ctx, s.archive, before.Name(s.size))
	switch {
	case errors.Is(err, repo.ErrNotFound), errors.Is(err, repo.ErrDamaged):
		return nil, nil
	case err != nil:
		return nil, err
	}
	defer func() { _ = in.Close() }()
	scanner := pgwal.NewScanner(&before)
	if _, err := in.WriteTo(scanner); err != nil {
		if errors.Is(err, repo.ErrDamaged) {
			return nil, nil
		}
		return nil, err
	}
	if scan, err := scanner.Scan(); err != nil || !scan.Whole {
		return nil, nil // nothing can be held against it
	}
	return scanner, nil
}

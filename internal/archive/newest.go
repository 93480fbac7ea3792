package archive

import (
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/pgwal"
)

// farthest is the end of what is there of a route, gaps or not.
type farthest struct {
	leg     int
	end     uint64 // the first segment that is not whole there
	reach   pgwal.LSN
	partial *tail
	strip   *strip
}

// newest looks for the farthest position on a route.
func (c *cover) newest(legs []leg) (farthest, bool) {
	for i := len(legs) - 1; i >= 0; i-- {
		l := legs[i]
		if p := l.strip.partial; p != nil && p.segment >= l.from && p.segment < l.to {
			return farthest{i, p.segment, pgwal.LSN(p.segment*c.size + p.reach), p, l.strip}, true
		}
		for j := len(l.strip.spans) - 1; j >= 0; j-- {
			x := l.strip.spans[j]
			if end := min(x.to, l.to); x.from < end && end > l.from {
				return farthest{i, end, pgwal.LSN(end * c.size), nil, l.strip}, true
			}
		}
	}
	return farthest{}, false
}

// stored is when the newest of it was, by the store's clock.
func (f farthest) stored() time.Time {
	if f.partial != nil {
		return f.partial.last
	}
	return f.strip.lastStoredBefore(f.end)
}

// storedTime is when the end of a stretch was stored.
func (s stretch) storedTime(legs []leg) time.Time {
	if s.partial != nil {
		return s.partial.last
	}
	for i := s.leg; i >= 0 && i < len(legs); i-- {
		if at := legs[i].strip.lastStoredBefore(s.end); !at.IsZero() {
			return at
		}
	}
	return time.Time{}
}

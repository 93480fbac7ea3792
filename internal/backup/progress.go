package backup

import "sync/atomic"

// Progress is written by a running backup and read by whoever draws it. All
// fields may be read at any time.
type Progress struct {
	Expected atomic.Int64           // bytes of the database, an estimate
	Plain    atomic.Int64           // archive bytes read from pg_dump
	Stored   atomic.Int64           // bytes given to the store
	Table    atomic.Pointer[string] // the table being dumped
	Step     atomic.Pointer[string] // "locking", "dumping", "committing"
}

func (p *Progress) step(name string) {
	if p != nil {
		p.Step.Store(&name)
	}
}

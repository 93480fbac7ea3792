package point

import "sync/atomic"

// Progress is written by a running backup and read by whoever draws it. All
// fields may be read at any time.
type Progress struct {
	Expected atomic.Int64           // bytes that will be read, an estimate
	Plain    atomic.Int64           // bytes read of what is backed up
	Stored   atomic.Int64           // bytes given to the store
	Item     atomic.Pointer[string] // the table being dumped, the file being read
	Step     atomic.Pointer[string] // "locking", "dumping", "committing"
}

// At notes the step that is being done.
func (p *Progress) At(step string) {
	if p != nil {
		p.Step.Store(&step)
	}
}

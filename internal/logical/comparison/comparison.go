// Package comparison holds a database against what a backup says is in it, or
// against another database: every table's rows, bytes and content hash, every
// sequence, and all large objects (V3). Restores, drills and the command
// `compare` share it, so that "equal" means one thing.
//
// What lives here: which objects are compared, and how a difference is told.
// What must not: restoring, judging whose fault a difference is (package drill),
// and SQL that others need too (package postgres).
package comparison

import (
	"cmp"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/drillreport"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/logical"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/postgres"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/postgres/pgarchive"
)

// defaultJobs is how many sessions read at once where nothing else is said.
const defaultJobs = 2

// Options of Run: what should be there, and where.
type Options struct {
	TOC      *pgarchive.TOC                // of the backup's archive
	Records  map[int32]logical.TableRecord // the backup's proofs, by dump id
	Encoding string                        // of the archive's text; "" = leave the server's
	Target   postgres.Target               // the database that should hold it
	Jobs     int                           // tables read at once; default 2

	// Skip leaves out entries that were not restored; nil compares all.
	Skip func(*pgarchive.Entry) bool
	// AtLeast lets sequences be ahead of the backup, as those of a database that
	// is in use are. Without it they must stand exactly where it sets them.
	AtLeast bool
	// Extra makes tables and large objects that the database has and the backup
	// lacks a difference. What belongs to an extension is no such thing.
	Extra bool

	Progress *atomic.Int64 // COPY text read back, in bytes of the backup's records; may be nil
}

// Difference is one thing that is not as it should be.
type Difference = drillreport.Difference

// Result of a comparison: what was compared, whether equal or not. Rows and
// Bytes are those that should be there.
type Result struct {
	Tables       int64 `json:"tables"`
	Rows         int64 `json:"rows"`
	Bytes        int64 `json:"bytes"` // of COPY text
	LargeObjects int64 `json:"large_objects"`
	Sequences    int64 `json:"sequences"`

	Differences []Difference `json:"differences"` // by object
}

// Equal tells whether no difference was found.
func (r Result) Equal() bool { return len(r.Differences) == 0 }

// findings collects a result from several goroutines.
type findings struct {
	mu     sync.Mutex
	result Result
}

func (f *findings) differs(object, problem string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.result.Differences = append(f.result.Differences, Difference{Object: object, Problem: problem})
}

func (f *findings) count(add func(*Result)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	add(&f.result)
}

// sorted is the result with its differences in an order that does not depend on
// which session was faster.
func (f *findings) sorted() Result {
	slices.SortStableFunc(f.result.Differences, func(a, b Difference) int {
		return cmp.Or(cmp.Compare(a.Object, b.Object), cmp.Compare(a.Problem, b.Problem))
	})
	return f.result
}

// nameOf is how messages and differences name a table or sequence.
func nameOf(kind, schema, name string) string { return kind + " " + schema + "." + name }

package cost

import (
	"iter"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/storageclass"
)

// gb is what S3 bills as one GB.
const gb = 1 << 30

// Stored is a number of objects of one class, such as those of a recovery point.
type Stored struct {
	Bytes   int64         // of all of them, as stored
	Objects int           // how many there are; 0 counts as one
	Age     time.Duration // since they were uploaded; nobody is taken to have read them since
	Class   string        // storage class; "" is STANDARD
}

// Point is a recovery point of so many stored bytes. It is false when the size is
// not known (0): nothing can be said of what it costs then.
func Point(bytes int64, age time.Duration, class string) (Stored, bool) {
	return Stored{Bytes: bytes, Objects: ObjectsOf(bytes), Age: max(age, 0), Class: class}, bytes > 0
}

// ObjectsOf is about how many objects a recovery point of so many stored bytes
// has: one for each 32 GiB of data, its index and its list of tables.
func ObjectsOf(bytes int64) int { return int(bytes/(32<<30)) + 3 }

// billed is how many bytes are paid for. An object that is small is billed at
// the minimum of its class; of several only their sum is known here, so this is
// the least it can be.
func (s Stored) billed() int64 {
	class, err := storageclass.Parse(s.Class)
	if err != nil || (s.Bytes <= 0 && s.Objects <= 0) {
		return max(s.Bytes, 0)
	}
	return max(s.Bytes, int64(max(s.Objects, 1))*class.MinimumBytes)
}

// Monthly estimates what it costs to keep objects for a month, in USD. Objects
// smaller than their class bills are taken at the billed size. It is an
// estimate, never a bill: see the package.
func (t Table) Monthly(all iter.Seq[Stored]) float64 {
	usd := 0.0
	for s := range all {
		usd += float64(s.billed()) / gb * t.Of(s.Class).atAge(s.Age)
	}
	return usd
}

// Retrieval estimates what it costs in USD to read objects back from a class
// once, as a full restore does, and how long it takes until they can be read:
// for archives the long end of a standard retrieval, otherwise nothing. Transfer
// out of the region is not in it. It is an estimate, never a bill.
func (t Table) Retrieval(class string, bytes int64, objects int) (usd float64, wait time.Duration) {
	p := t.Of(class)
	requests := float64(max(objects, 0)) / 1000
	usd = float64(max(bytes, 0))/gb*p.RetrievalGB + requests*(p.Get1000+p.Retrieval1000)
	return usd, time.Duration(p.RetrievalHours) * time.Hour
}

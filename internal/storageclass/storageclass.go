// Package storageclass is what S3 says of its storage classes: which exist, in
// which order a lifecycle may move objects down them, what each bills at least,
// and from which an object must be brought back before it can be read. Source:
// "Amazon S3 User Guide", chapters on storage classes and on transitioning
// objects with lifecycle.
//
// It is a table and its look-ups. What a class costs is package cost's, which
// objects are in which class is package policy's.
package storageclass

import (
	"errors"
	"fmt"
	"strings"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/nearest"
)

// The classes, from the top of the waterfall down.
const (
	Standard           = "STANDARD"
	StandardIA         = "STANDARD_IA"
	IntelligentTiering = "INTELLIGENT_TIERING"
	OneZoneIA          = "ONEZONE_IA"
	GlacierIR          = "GLACIER_IR"
	Glacier            = "GLACIER" // Glacier Flexible Retrieval
	DeepArchive        = "DEEP_ARCHIVE"
)

// Class is one storage class. The zero value is none.
type Class struct {
	Name string // as in the S3 API
	// Rank is the place in the waterfall: 0 is STANDARD, and a lifecycle moves
	// objects to a higher rank only. MovesTo knows the one exception.
	Rank int
	// MinimumDays is how long an object is billed at least, 0 for no minimum.
	// Leaving the class earlier costs the rest.
	MinimumDays int
	// MinimumBytes is the size an object is billed at least, 0 for no minimum.
	MinimumBytes int64
	// Archived says that an object must be brought back, which takes hours,
	// before it can be read.
	Archived bool
}

const kib128 = 128 << 10

var classes = [...]Class{
	{Name: Standard, Rank: 0},
	{Name: StandardIA, Rank: 1, MinimumDays: 30, MinimumBytes: kib128},
	{Name: IntelligentTiering, Rank: 2},
	{Name: OneZoneIA, Rank: 3, MinimumDays: 30, MinimumBytes: kib128},
	{Name: GlacierIR, Rank: 4, MinimumDays: 90, MinimumBytes: kib128},
	{Name: Glacier, Rank: 5, MinimumDays: 90, Archived: true},
	{Name: DeepArchive, Rank: 6, MinimumDays: 180, Archived: true},
}

// All gives every class, from the top of the waterfall down.
func All() []Class { return append([]Class(nil), classes[:]...) }

// Names lists the names of every class, from the top of the waterfall down.
func Names() []string {
	names := make([]string, 0, len(classes))
	for _, c := range classes {
		names = append(names, c.Name)
	}
	return names
}

// otherNames are what people, consoles and price pages call the classes; they
// serve suggestions only.
var otherNames = map[string]string{
	"IA": StandardIA, "INFREQUENT_ACCESS": StandardIA, "STANDARD_INFREQUENT_ACCESS": StandardIA,
	"ONE_ZONE_IA": OneZoneIA, "ONEZONE": OneZoneIA, "ONE_ZONE": OneZoneIA,
	"INTELLIGENT": IntelligentTiering,
	"GIR":         GlacierIR, "GLACIER_INSTANT": GlacierIR, "GLACIER_INSTANT_RETRIEVAL": GlacierIR, "INSTANT_RETRIEVAL": GlacierIR,
	"GLACIER_FLEXIBLE": Glacier, "GLACIER_FLEXIBLE_RETRIEVAL": Glacier, "FLEXIBLE_RETRIEVAL": Glacier,
	"GLACIER_DEEP_ARCHIVE": DeepArchive, "DEEP": DeepArchive, "ARCHIVE": DeepArchive,
}

// unfit are classes that S3 has and backups cannot use.
var unfit = map[string]string{
	"REDUCED_REDUNDANCY": "loses objects by design",
	"EXPRESS_ONEZONE":    "exists in directory buckets only",
	"OUTPOSTS":           "exists on Outposts only",
	"SNOW":               "exists on Snow devices only",
	"FSX_OPENZFS":        "is read through FSx only",
}

// maxName bounds what an error repeats of a name that may be hostile.
const maxName = 64

// Parse gives the class of a name as the S3 API writes it; nothing else is
// accepted, because the name travels to S3 unchanged. The error says the name
// that was probably meant.
func Parse(name string) (Class, error) {
	for _, c := range classes {
		if c.Name == name {
			return c, nil
		}
	}
	if name == "" {
		return Class{}, errors.New("storage class is empty: give one of " + strings.Join(Names(), ", "))
	}
	if len(name) > maxName {
		return Class{}, fmt.Errorf("a storage class of %d characters is unknown; valid are %s", len(name), strings.Join(Names(), ", "))
	}
	if why, ok := unfit[name]; ok {
		return Class{}, fmt.Errorf("storage class %s %s: give one of %s", name, why, strings.Join(Names(), ", "))
	}
	plain := strings.NewReplacer("-", "_", " ", "_").Replace(strings.ToUpper(name))
	plain = strings.TrimPrefix(strings.TrimPrefix(plain, "AMAZON_"), "S3_")
	if meant, ok := otherNames[plain]; ok {
		return Class{}, fmt.Errorf("unknown storage class %q; did you mean %q?", name, meant)
	}
	return Class{}, fmt.Errorf("unknown storage class %q%s", name, nearest.Suggestion(plain, Names()))
}

// MovesTo reports whether a lifecycle can move objects from c to next: down the
// waterfall only, and from One Zone-IA to no class above the archives.
func (c Class) MovesTo(next Class) bool {
	return next.Rank > c.Rank && (c.Name != OneZoneIA || next.Archived)
}

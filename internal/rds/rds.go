// Package rds makes manual snapshots of RDS instances and clusters into recovery
// points of a repository, so that policies, holds, lists and verification reach
// them like any other.
//
// What lives here: which snapshot belongs to which point, in which order the two
// come and go, and what is done about one that a crash left. What must not: the
// API of RDS (package awsapi/rds), what to keep (package retention), flags and
// printing (the faces).
package rds

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/awsapi"
	api "github.com/pgbackup/terraform-provider-pgbackup/internal/awsapi/rds"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
)

// Kind of the recovery points, and the name of the one stream they hold: the
// description of the snapshot as RDS gave it, in JSON. Its data is with AWS.
const (
	Kind   = repo.KindRDSSnapshot
	Stream = "snapshot"
)

// Tags of a snapshot beside those of package awsapi. Together they are what ours
// means: the same account may hold snapshots of many repositories, and of people.
const (
	TagRepositoryID = "pgbackup:repository-id" // id in repository.json, which copies of it share
	TagSource       = "pgbackup:source"
	TagPoint        = "pgbackup:point"   // id of the recovery point
	TagRequest      = "pgbackup:request" // what asked for it, see Options.Request
)

// DefaultLimit is how long a snapshot may take: the first one of a large database
// takes hours.
const DefaultLimit = 6 * time.Hour

// Errors a caller may test for with errors.Is.
var (
	// ErrOtherDatabase: the source's points are of another database.
	ErrOtherDatabase = errors.New("is the source of another database")
	// ErrFailed: RDS could not make the snapshot.
	ErrFailed = errors.New("RDS could not make the snapshot")
	// ErrOtherAccount: the credentials are of another account than the snapshot's,
	// so that nothing can be said about it.
	ErrOtherAccount = errors.New("these credentials are of another account")
)

// Options of Take.
type Options struct {
	Repo   *repo.Repository
	RDS    *api.Client // in the region of the target
	Target api.Target
	Source string // "" is DefaultSource

	Name string            // of the schedule or resource, for the tag awsapi.TagName; may be ""
	Tags map[string]string // more tags of the snapshot
	// Request names what asks for the snapshot. One that was made for the same
	// request within a day and never became a point, because whoever asked died, is
	// finished instead of taking another. "" always takes a new one.
	Request string

	Hold           bool
	Policy         string // stamped into the manifest
	PolicyRevision int
	Job            string
	RunnerVersion  string
	StorageClass   string            // of the description
	ObjectTags     map[string]string // of the description
	Tier           string

	Limit    time.Duration // for each snapshot; 0 is DefaultLimit
	First    time.Duration // before the second look at it; 0 is 5 s
	Self     repo.Holder
	LeaseTTL time.Duration
	Clock    func() time.Time // nil is time.Now
	Log      *slog.Logger     // nil is silent
}

func (o *Options) defaults() {
	if o.Source == "" {
		o.Source = DefaultSource(o.Target, o.RDS.Region())
	}
	if o.Limit <= 0 {
		o.Limit = DefaultLimit
	}
	if o.First <= 0 {
		o.First = 5 * time.Second
	}
	if o.Clock == nil {
		o.Clock = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
}

// DefaultSource is identifier@region: the same name in two regions is two databases.
func DefaultSource(t api.Target, region string) string { return t.ID + "@" + region }

// SnapshotName is unique, says what it is of, and is one that RDS takes: letters,
// digits and single hyphens.
func SnapshotName(t api.Target, point string) string {
	return "pgbackup-" + strings.ToLower(t.ID) + "-" + strings.ToLower(point)
}

// tagValue makes a value of a tag of any text: what tags may not hold is replaced,
// and a digest then keeps two texts apart.
func tagValue(text string) string {
	value := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune(" _.:/=+-@", r) {
			return r
		}
		return '_'
	}, text)
	if value == text && len(value) <= 200 {
		return value
	}
	sum := sha256.Sum256([]byte(text))
	return value[:min(len(value), 180)] + "+" + hex.EncodeToString(sum[:6])
}

// tags of the snapshot that becomes point.
func (o *Options) tags(point string) map[string]string {
	own := ownerOf(o.Repo)
	tags := awsapi.OwnTags(o.Tags, own.place, o.Name)
	tags[TagRepositoryID], tags[TagSource], tags[TagPoint] = own.id, tagValue(o.Source), point
	if o.Request != "" {
		tags[TagRequest] = tagValue(o.Request)
	}
	return tags
}

// sameAccount is an error when the credentials are of another account than what a
// manifest says: what is not found then may well be there.
func sameAccount(ctx context.Context, c *api.Client, m *repo.Manifest) error {
	account, err := c.Account(ctx)
	if err != nil {
		return fmt.Errorf("%s was not found, and whether this is its account is not known: %w", m.RDS.Snapshot, err)
	}
	if account != m.RDS.Account {
		return fmt.Errorf("%w: RDS snapshot (%s) is in account %s, they are of %s", ErrOtherAccount, m.RDS.Snapshot, m.RDS.Account, account)
	}
	return nil
}

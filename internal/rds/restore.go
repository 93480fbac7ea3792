package rds

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"strings"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/awsapi"
	api "github.com/pgbackup/terraform-provider-pgbackup/internal/awsapi/rds"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
)

// TagRestoredFrom of a restored database says what it was restored from. It and
// TagRequest are the only tags of pgbackup that one has: without awsapi.TagManagedBy
// nothing of pgbackup ever changes or deletes it.
const TagRestoredFrom = "pgbackup:restored-from"

// Errors of a restore that a caller may test for with errors.Is.
var (
	// ErrNothing: there is nothing to restore from.
	ErrNothing = errors.New("there is nothing to restore")
	// ErrOutside: a moment that cannot be restored to.
	ErrOutside = errors.New("is outside of what can be restored")
	// ErrExists: the name of the new database is taken.
	ErrExists = errors.New("is there already, and a restore always makes a new one")
	// ErrUnfit: it is nothing that this program restores.
	ErrUnfit = errors.New("is not restored by pgbackup")
	// ErrName: no name that RDS takes.
	ErrName = errors.New("is no name that RDS takes")
)

// RestoreOptions of PlanRestore. What is restored is the point, or else a moment, or
// else the snapshot, or else the newest snapshot of the database.
type RestoreOptions struct {
	Client   *api.Client // in the region of what is restored
	Of       api.Target  // the database; may be empty with a snapshot or a point
	Snapshot string      // name or ARN
	Point    *repo.Manifest
	Moment   time.Time
	Latest   bool   // the latest moment there is
	To       string // identifier of the new database; "" for looking only

	Given Given

	Limit    time.Duration // for how long it is waited; 0 is DefaultLimit, below 0 not at all
	First    time.Duration // before the second look; 0 is 5 s
	Now      func() time.Time
	Log      *slog.Logger
	Progress func(what, state string) // told of every look; may be nil
}

// Given replaces what the new database would take over from the original. What is
// empty or nil is taken over.
type Given struct {
	Class, SubnetGroup, ParameterGroup, OptionGroup string
	SecurityGroups, Logs                            []string
	StorageType                                     string
	IOPS, Throughput, Port                          int
	MultiAZ, DeletionProtection, IAMAuth            *bool
	Tags                                            map[string]string // besides those that are taken over
}

// RestorePlan is what a restore would do. Its fields are for showing it.
type RestorePlan struct {
	From   api.Origin
	Wanted api.Wanted
	Member string // identifier of the instance that a new Aurora cluster gets; "" for none
	// Source is the original; nil when it is gone.
	Source  *api.Database
	Version string // of the engine
	// NotCarried says what the new database will not have of the original, and how to
	// give it that.
	NotCarried []string
	Warnings   []string
	// Resumes says that this very restore was begun before: nothing is made anew.
	Resumes bool

	options RestoreOptions
	found   api.Database // when it resumes
}

// Restored is the new database.
type Restored struct {
	api.Target
	ARN      string
	From     string // what it was restored from
	Endpoint string // host name
	Port     int
	User     string // the master user
	Engine   string
	Version  string
	Class    string
	Instance string // that takes the connections; of a Multi-AZ cluster ""
	Took     time.Duration
}

// PlanRestore finds out what a restore would do and whether it can: what is restored
// is there and whole, its key can be used, it is of PostgreSQL, and the name is free.
// Nothing is made. Errors wrap those above, repo.ErrDamaged for a snapshot from which
// nothing can be restored, api.ErrKeyUnusable, or those of package awsapi.
func PlanRestore(ctx context.Context, o RestoreOptions) (*RestorePlan, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.First <= 0 {
		o.First = 5 * time.Second
	}
	if o.Limit == 0 {
		o.Limit = DefaultLimit
	}
	if o.Progress == nil {
		o.Progress = func(string, string) {}
	}
	o.To = strings.ToLower(o.To)
	p := &RestorePlan{options: o}
	if o.To != "" {
		if err := checkIdentifier(o.To); err != nil {
			return nil, err
		}
	}
	if err := p.origin(ctx); err != nil {
		return nil, err
	}
	if err := p.key(ctx); err != nil {
		return nil, err
	}
	if err := p.shape(ctx); err != nil {
		return nil, err
	}
	p.orderable(ctx)
	if o.To == "" {
		return p, nil
	}
	return p, p.free(ctx)
}

var identifierPattern = regexp.MustCompile(`^[a-z]([a-z0-9]|-[a-z0-9]){0,62}$`)

// checkIdentifier holds what RDS says of identifiers of instances and clusters.
//
// Source: Amazon RDS User Guide, "Quotas and constraints", naming constraints.
func checkIdentifier(id string) error {
	if !identifierPattern.MatchString(id) || len(id) > 63 {
		return fmt.Errorf("%.80q %w: 1 to 63 letters, digits and single hyphens, a letter first and no hyphen last", id, ErrName)
	}
	return nil
}

// request names what was asked for, so that the same command finds what it made.
func (o RestoreOptions) request() string {
	switch {
	case o.Point != nil:
		return tagValue("restore of point " + o.Point.ID)
	case o.Latest:
		return tagValue("restore of " + o.Of.String() + " as it was last")
	case !o.Moment.IsZero():
		return tagValue("restore of " + o.Of.String() + " as of " + o.Moment.UTC().Format(time.RFC3339Nano))
	case o.Snapshot != "":
		return tagValue("restore of snapshot " + o.Snapshot)
	}
	return tagValue("restore of the newest snapshot of " + o.Of.String())
}

// key looks whether what encrypts the origin can be used.
func (p *RestorePlan) key(ctx context.Context) error {
	arn := p.From.Snapshot.KMSKey
	if !p.From.IsSnapshot() && p.Source != nil {
		arn = p.Source.KMSKey
	}
	if !strings.HasPrefix(arn, "arn:") {
		return nil
	}
	err := p.options.Client.CheckKey(ctx, arn)
	if err == nil || errors.Is(err, api.ErrKeyUnusable) {
		return err
	}
	p.warn("whether the key %s can be used is not known: %v", arn, err)
	return nil
}

// orderable warns where RDS may refuse the version or the class.
func (p *RestorePlan) orderable(ctx context.Context) {
	engine, class := p.Wanted.Engine, p.Wanted.Shape.Class
	ok, err := p.options.Client.Orderable(ctx, engine, p.Version, class)
	switch {
	case err != nil:
		p.warn("whether RDS still makes %s %s is not known: %v", engine, p.Version, err)
		return
	case ok:
		return
	case class != "":
		if any, err := p.options.Client.Orderable(ctx, engine, p.Version, ""); err == nil && any {
			p.warn("RDS does not offer class %s for %s %s in %s: give another --class", class, engine, p.Version, p.options.Client.Region())
			return
		}
	}
	p.warn("RDS lists %s %s no more in %s: it may restore it with a newer minor version, or refuse", engine, p.Version, p.options.Client.Region())
}

// free looks whether the name is. What this very request made within a day is gone
// on with.
func (p *RestorePlan) free(ctx context.Context) error {
	o := p.options
	found, err := o.Client.Database(ctx, p.Wanted.Target)
	if errors.Is(err, awsapi.ErrGone) {
		if p.Member == "" {
			return nil
		}
		_, err = o.Client.Database(ctx, api.Target{ID: p.Member})
		if errors.Is(err, awsapi.ErrGone) {
			return nil
		}
		found.Target = api.Target{ID: p.Member}
	}
	if err != nil {
		return err
	}
	fresh := found.Created.IsZero() || o.Now().Sub(found.Created) < sameRequest
	if fresh && found.Tags[TagRequest] == o.request() {
		p.Resumes, p.found = true, found
		return nil
	}
	hint := ""
	for n := 2; n < 20; n++ {
		other := fmt.Sprintf("%s-%d", strings.TrimRight(o.To[:min(len(o.To), 58)], "-"), n)
		_, err := o.Client.Database(ctx, api.Target{ID: other, Cluster: p.Wanted.Cluster})
		if errors.Is(err, awsapi.ErrGone) {
			hint = "; " + other + " is free"
			break
		}
		if err != nil {
			break
		}
	}
	return fmt.Errorf("%s %w%s", found.Target, ErrExists, hint)
}

func (p *RestorePlan) warn(format string, args ...any) {
	p.Warnings = append(p.Warnings, fmt.Sprintf(format, args...))
}

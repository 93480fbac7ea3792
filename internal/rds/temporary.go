package rds

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"strings"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/awsapi"
	api "github.com/pgbackup/terraform-provider-pgbackup/internal/awsapi/rds"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/job"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
)

// Tags of a temporary database beside those of a snapshot and api.TagTemporary.
const (
	TagExpires = "pgbackup:expires" // RFC 3339, UTC: from then on it may be deleted by anybody who may
	TagRun     = "pgbackup:run"     // the process that made it, see runOf
)

// TemporaryPrefix begins the identifier of every temporary database, and the name
// of the group of parameters they run with: rights are bound to it.
const TemporaryPrefix = "pgbackup-drill-"

// DefaultExpiry is how long a temporary database may stand where nobody says.
const DefaultExpiry = 12 * time.Hour

// TemporaryOptions of StartTemporary.
type TemporaryOptions struct {
	Client   *api.Client // in the region of the snapshot
	Snapshot *repo.RDSSnapshot
	Drill    job.DrillInstance
	Name     string // of the drill: for the tag awsapi.TagName and the identifier
	// Repo that the snapshot is a recovery point of: its tags are what rights to
	// delete are bound to. nil leaves them out.
	Repo    *repo.Repository
	Expires time.Time // when it may be swept; zero is DefaultExpiry from now
	Tags    map[string]string
	// NewPassword gives the master user a password that is in Temporary.Password and
	// nowhere else. What the snapshot has stays otherwise.
	NewPassword bool

	First time.Duration // before the second look; 0 is 5 s
	Now   func() time.Time
	Log   *slog.Logger // nil is silent
	// Progress, when not nil, is told what is waited for and how that is.
	Progress func(what, state string)
}

// Temporary is a database that was restored from a snapshot and is to be deleted.
type Temporary struct {
	Identifier string // of the instance
	Cluster    string // that it is in; "" for none
	Endpoint   string // host name, never public
	Port       int
	Engine     string
	Version    string
	User       string // the master user
	Password   string // set with TemporaryOptions.NewPassword only
	Class      string
	Expires    time.Time

	client    *api.Client
	log       *slog.Logger
	isolation []string
	pause     time.Duration
	begun     time.Time // when RDS was asked to make it; zero before
}

// Isolation says what keeps the restored database from reaching others.
func (t *Temporary) Isolation() []string { return t.isolation }

// serverless is the class of instances of Aurora whose size is their cluster's.
const serverless = "db.serverless"

// temporary is one StartTemporary under way.
type temporary struct {
	TemporaryOptions
	from   api.Origin
	wanted api.Wanted
	member string // identifier of the instance in a cluster that is made after it
}

// StartTemporary restores the snapshot of a recovery point to a new database that is
// not public, takes no backups, has no standby and may be deleted by DeleteTemporary
// and SweepTemporary only, and waits until it takes connections. Snapshots of Aurora
// become a cluster of one instance, those of Multi-AZ clusters one instance. It runs
// with default parameters, so that no scheduler is loaded, and without workers of
// logical replication, so that subscriptions of the original stay asleep.
//
// Whatever it made is deleted again when it fails; the error says so where that
// fails too. Errors wrap awsapi.ErrGone where the snapshot is not there, and
// repo.ErrDamaged where nothing can be restored from it.
func StartTemporary(ctx context.Context, o TemporaryOptions) (*Temporary, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.First <= 0 {
		o.First = 5 * time.Second
	}
	if o.Expires.IsZero() {
		o.Expires = o.Now().Add(DefaultExpiry)
	}
	if o.Progress == nil {
		o.Progress = func(string, string) {}
	}
	if o.Snapshot == nil || o.Client == nil {
		return nil, errors.New("temporary database: the recovery point names no snapshot in RDS")
	}
	s := &temporary{TemporaryOptions: o}
	t, err := s.start(ctx)
	if err != nil {
		return nil, fmt.Errorf("temporary database of RDS snapshot (%s): %w", o.Snapshot.Snapshot, err)
	}
	return t, nil
}

func (s *temporary) start(ctx context.Context) (_ *Temporary, err error) {
	if err := s.plan(ctx); err != nil {
		return nil, err
	}
	group := isolated(s.wanted.Engine, s.from.Snapshot.EngineVersion, s.wanted.Cluster, s.Tags)
	if err := s.Client.EnsureParameterGroup(ctx, group); err != nil {
		return nil, fmt.Errorf("keep its subscriptions asleep: %w", err)
	}
	s.wanted.Shape.ParameterGroup = group.Name
	t := &Temporary{
		Identifier: s.wanted.ID, Engine: s.wanted.Engine, User: s.from.Snapshot.User, Class: s.wanted.Shape.Class, Expires: s.Expires,
		client: s.Client, log: s.Log, pause: s.First,
		isolation: []string{
			"RDS instance without a public address",
			"no workers of logical replication: subscriptions are asleep",
			"default shared_preload_libraries: no scheduler runs",
		},
	}
	if s.wanted.Cluster {
		t.Cluster, t.Identifier = s.wanted.ID, s.member
	}
	// From here on something may be there, also when RDS answers with an error.
	defer func() {
		if err == nil {
			return
		}
		if left := t.Delete(ctx); left != nil {
			err = errors.Join(err, fmt.Errorf("%w; it is tagged to expire at %s and the next drill deletes it then", left, s.Expires.UTC().Format(time.RFC3339)))
		}
	}()
	s.Log.Info("temporary database begun", "identifier", t.Identifier, "cluster", t.Cluster, "snapshot", s.from.Snapshot.Name, "class", t.Class, "expires", s.Expires.UTC())
	if err := s.Client.Restore(ctx, s.from, s.wanted); err != nil {
		return nil, err
	}
	t.begun = time.Now()
	db, err := s.available(ctx, s.wanted.Target, false)
	if err != nil {
		return nil, err
	}
	if s.member != "" {
		if err := s.Client.AddMember(ctx, s.member, s.wanted); err != nil {
			return nil, err
		}
		if db, err = s.available(ctx, api.Target{ID: s.member}, false); err != nil {
			return nil, err
		}
	}
	if s.NewPassword {
		t.Password = rand.Text() + rand.Text()
		if err := s.Client.SetPassword(ctx, s.wanted.Target, t.Password); err != nil {
			return nil, err
		}
		if _, err := s.available(ctx, s.wanted.Target, true); err != nil {
			return nil, err
		}
	}
	if db.Public {
		return nil, errors.New("RDS gave it a public address, which was not asked for")
	}
	t.Endpoint, t.Port, t.Version, t.User = db.Endpoint, db.Shape.Port, db.EngineVersion, cmp.Or(db.User, t.User)
	return t, nil
}

// plan finds out what is to be made, without making it.
func (s *temporary) plan(ctx context.Context) error {
	of := *s.Snapshot
	if of.Region != s.Client.Region() {
		return fmt.Errorf("the snapshot is in %s and these are calls to %s", of.Region, s.Client.Region())
	}
	snapshot, err := s.Client.Snapshot(ctx, of.Snapshot, of.Cluster)
	if errors.Is(err, awsapi.ErrGone) {
		if other := sameAccount(ctx, s.Client, &repo.Manifest{RDS: &of}); other != nil {
			return other
		}
		return fmt.Errorf("%w: somebody deleted it in AWS: %w", repo.ErrDamaged, err)
	}
	if err != nil {
		return err
	}
	switch {
	case of.ARN != "" && snapshot.ARN != of.ARN:
		return fmt.Errorf("%w: the recovery point is %s, here is %s", ErrOtherAccount, of.ARN, snapshot.ARN)
	case failed(snapshot), snapshot.Status == "deleting":
		return fmt.Errorf("%w: it is %s", repo.ErrDamaged, snapshot.Status)
	case !snapshot.Ready():
		return fmt.Errorf("it is %s at the moment: try again later", snapshot.Status)
	case !api.IsPostgres(snapshot.Engine):
		return fmt.Errorf("it is of %s: only postgres and aurora-postgresql are restored", snapshot.Engine)
	}
	shape := api.Shape{Class: s.Drill.Class, SubnetGroup: s.Drill.SubnetGroup, SecurityGroups: s.Drill.SecurityGroups, IAMAuth: snapshot.IAMAuth}
	if shape.Class == "" || shape.SubnetGroup == "" || len(shape.SecurityGroups) == 0 || shape.Class == serverless {
		if err := s.fromSource(ctx, api.Target{ID: of.Database, Cluster: of.Cluster}, &shape); err != nil {
			return err
		}
	}
	cluster := snapshot.Cluster && api.IsAurora(snapshot.Engine)
	id := temporaryName(s.Name)
	s.from = api.Origin{Snapshot: snapshot}
	none := 0
	s.wanted = api.Wanted{Target: api.Target{ID: id, Cluster: cluster}, Engine: snapshot.Engine, Shape: shape, AllocatedGiB: snapshot.AllocatedGiB, RetentionDays: &none, Tags: s.tags(id)}
	if cluster {
		s.member = id + "-1"
		s.wanted.RetentionDays = nil // clusters take backups for a day at least
	}
	return nil
}

// fromSource fills in what the drill leaves open with what the original has.
func (s *temporary) fromSource(ctx context.Context, source api.Target, shape *api.Shape) error {
	db, err := s.Client.Database(ctx, source)
	if errors.Is(err, awsapi.ErrGone) {
		if shape.Class == "" && source.Cluster {
			return fmt.Errorf("%s is gone, so the class of its instances is not known: give one in into.rds_instance.class, with subnet_group and security_groups", source)
		}
		s.Log.Warn("the original is gone: what the drill does not say is the default of the account", "database", source.String())
		return nil
	}
	if err != nil {
		return err
	}
	have := db.Shape
	if source.Cluster && have.Class == "" && shape.Class == "" {
		if have, err = s.Client.ShapeOfCluster(ctx, db); err != nil {
			return err
		}
		if have.Class == "" {
			return fmt.Errorf("%s has no instance whose class could be taken: give one in into.rds_instance.class", source)
		}
	}
	shape.Class = cmp.Or(shape.Class, have.Class)
	if shape.Class == serverless {
		shape.MinACU, shape.MaxACU = have.MinACU, have.MaxACU
	}
	shape.SubnetGroup = cmp.Or(shape.SubnetGroup, db.Shape.SubnetGroup)
	if len(shape.SecurityGroups) == 0 {
		shape.SecurityGroups = db.Shape.SecurityGroups
	}
	return nil
}

func (s *temporary) tags(id string) map[string]string {
	tags := maps.Clone(s.Tags)
	where := ""
	if tags == nil {
		tags = map[string]string{}
	}
	if s.Repo != nil {
		own := ownerOf(s.Repo)
		tags[TagRepositoryID], where = own.id, own.place
	}
	tags[api.TagTemporary], tags[TagExpires], tags[TagRun] = id, s.Expires.UTC().Format(time.RFC3339), runOf(repo.Self())
	return awsapi.OwnTags(tags, where, s.Name)
}

// available waits until a database takes connections, and with password until its
// new password does.
func (s *temporary) available(ctx context.Context, t api.Target, password bool) (api.Database, error) {
	w := waiting{limit: max(time.Minute, s.Expires.Sub(s.Now())), first: s.First, tell: s.Progress}
	return waitAvailable(ctx, s.Client, t, w, func(db api.Database) bool { return !password || !db.PendingPassword })
}

// appears is how long RDS may not know of a database that it was asked to make.
const appears = 30 * time.Second

// hopeless are the states that a database being made never gets out of by itself.
func hopeless(status string) bool {
	return status == "failed" || status == "deleting" || strings.HasPrefix(status, "incompatible-") || status == "restore-error" || status == "inaccessible-encryption-credentials"
}

// temporaryName is an identifier RDS takes: letters, digits and single hyphens, at
// most 63, with room for that of a member.
func temporaryName(drill string) string {
	return TemporaryPrefix + cmp.Or(plain(drill, 24), "manual") + "-" + strings.ToLower(rand.Text()[:8])
}

// plain keeps of a text what an identifier may have.
func plain(text string, most int) string {
	var b strings.Builder
	for _, r := range strings.ToLower(text) {
		switch {
		case b.Len() == most:
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9':
			b.WriteRune(r)
		case b.Len() > 0 && !strings.HasSuffix(b.String(), "-"):
			b.WriteByte('-')
		}
	}
	return strings.Trim(b.String(), "-")
}

// isolated is the group of parameters of temporary databases of a version. It is
// made once and stays: it costs nothing, and the next drill needs it again.
func isolated(engine, version string, cluster bool, tags map[string]string) api.ParameterGroup {
	family := api.Family(engine, version)
	return api.ParameterGroup{
		Name: TemporaryPrefix + strings.ReplaceAll(family, ".", "-"), Family: family, Cluster: cluster,
		Description: "pgbackup: restore drills, without workers of logical replication",
		Values:      map[string]string{"max_logical_replication_workers": "0"},
		Tags:        awsapi.OwnTags(tags, "", "drills"),
	}
}

package rds

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	api "github.com/pgbackup/terraform-provider-pgbackup/internal/awsapi/rds"
)

// ErrNotReplica: only a read replica can be promoted.
var ErrNotReplica = errors.New("is not a read replica")

// PromoteOptions of PlanPromotion.
type PromoteOptions struct {
	Client  *api.Client
	Replica api.Target
	// RetentionDays and Window of its automated backups once it stands alone; nil and
	// "" leave them as they are. A cluster takes them over as they are.
	RetentionDays *int
	Window        string

	Limit    time.Duration // for how long it is waited; 0 is DefaultLimit
	First    time.Duration // before the second look; 0 is 5 s
	Now      func() time.Time
	Log      *slog.Logger
	Progress func(what, state string) // may be nil
}

// Promotion is what promoting would do. Its fields are for showing it.
type Promotion struct {
	Replica  api.Database
	Lag      time.Duration // behind its source, lately
	LagKnown bool
	Warnings []string

	options PromoteOptions
}

// PlanPromotion looks whether there is a replica that can be promoted, how far it is
// behind, and what it will lack. Nothing is changed. ErrNotReplica, ErrUnfit.
func PlanPromotion(ctx context.Context, o PromoteOptions) (*Promotion, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.First <= 0 {
		o.First = 5 * time.Second
	}
	if o.Limit <= 0 {
		o.Limit = DefaultLimit
	}
	if o.Progress == nil {
		o.Progress = func(string, string) {}
	}
	db, err := o.Client.Database(ctx, o.Replica)
	if err != nil {
		return nil, err
	}
	p := &Promotion{Replica: db, options: o}
	switch {
	case !api.IsPostgres(db.Engine):
		return nil, fmt.Errorf("%s %w: it is of %s", db.Target, ErrUnfit, db.Engine)
	case db.MemberOf != "":
		return nil, fmt.Errorf("%s %w of its own: it is a member of cluster %s. To make it the writer, run `aws rds failover-db-cluster --db-cluster-identifier %s --target-db-instance-identifier %s`; to promote a cluster that is a replica, name the cluster and give --is-cluster", db.Target, ErrNotReplica, db.MemberOf, db.MemberOf, db.ID)
	case db.ReplicaOf == "":
		return nil, fmt.Errorf("%s %w%s", db.Target, ErrNotReplica, p.replicas(ctx))
	case db.Status != api.StatusAvailable:
		return nil, fmt.Errorf("%s is %s: RDS promotes a replica when it is available; try again then", db.Target, db.Status)
	}
	p.look(ctx)
	return p, nil
}

// replicas names those of a database that is none itself.
func (p *Promotion) replicas(ctx context.Context) string {
	all, err := p.options.Client.Databases(ctx, p.Replica.Cluster)
	if err != nil {
		return ""
	}
	var ids []string
	for _, d := range all {
		if d.ReplicaOf == p.Replica.ID || d.ReplicaOf == p.Replica.ARN {
			ids = append(ids, d.ID)
		}
	}
	if len(ids) == 0 {
		return ", and has none in " + p.options.Client.Region() + "; it may have been promoted before"
	}
	slices.Sort(ids)
	return "; its own are " + strings.Join(ids, ", ")
}

// look gathers what whoever promotes has to know.
func (p *Promotion) look(ctx context.Context) {
	o, db := p.options, p.Replica
	warn := func(format string, args ...any) { p.Warnings = append(p.Warnings, fmt.Sprintf(format, args...)) }
	if db.Replication != "" && db.Replication != "replicating" {
		warn("its replication is %q: it may lack everything since then", db.Replication)
	}
	if !db.Cluster {
		var err error
		p.Lag, p.LagKnown, err = o.Client.ReplicaLag(ctx, db.ID, o.Now())
		switch {
		case err != nil:
			warn("how far it is behind is not known: %v", err)
		case !p.LagKnown:
			warn("how far it is behind is not known: CloudWatch has no ReplicaLag of the last 15 minutes")
		case p.Lag >= time.Second:
			warn("it is %s behind %s: what was committed there since then is lost unless writing stops and the replica catches up first", p.Lag.Round(time.Second), db.ReplicaOf)
		}
	}
	days := db.RetentionDays
	if o.RetentionDays != nil {
		days = *o.RetentionDays
	}
	if days == 0 {
		warn("its backup retention is 0: once promoted it has no automated backups and no point-in-time recovery; give --backup-retention DAYS")
	}
	if !db.Cluster && !db.Shape.MultiAZ {
		warn("it has no standby in another zone: `aws rds modify-db-instance --db-instance-identifier %s --multi-az` gives it one", db.ID)
	}
}

// Steps says in sentences what Run would do.
func (p *Promotion) Steps() []string {
	what := fmt.Sprintf("promote %s, a read replica of %s, to a database of its own; this cannot be undone", p.Replica.Target, p.Replica.ReplicaOf)
	if d := p.options.RetentionDays; d != nil {
		what += fmt.Sprintf("; it keeps automated backups for %d days", *d)
	}
	return []string{what, fmt.Sprintf("wait until it is available, %s at most; it restarts once", p.options.Limit), "print how to reach it"}
}

// Run promotes the replica and waits until it stands alone. With an error that wraps
// awsapi.ErrTimeout RDS goes on with it.
func (p *Promotion) Run(ctx context.Context) (Restored, error) {
	o, begun := p.options, p.options.Now()
	if err := o.Client.Promote(ctx, p.Replica.Target, o.RetentionDays, o.Window); err != nil {
		if api.Busy(err) {
			err = fmt.Errorf("%w; try again when it is available", err)
		}
		return Restored{}, err
	}
	o.Log.Info("promotion begun", "replica", p.Replica.String(), "of", p.Replica.ReplicaOf)
	w := waiting{limit: o.Limit, first: o.First, tell: o.Progress, again: "RDS goes on with it"}
	db, err := waitAvailable(ctx, o.Client, p.Replica.Target, w, func(db api.Database) bool { return db.ReplicaOf == "" })
	if err != nil {
		return Restored{}, err
	}
	r := Restored{Target: db.Target, ARN: db.ARN, Endpoint: db.Endpoint, Port: db.Shape.Port, User: db.User, Engine: db.Engine, Version: db.EngineVersion, Class: db.Shape.Class, Took: o.Now().Sub(begun)}
	if !db.Cluster {
		r.Instance = db.ID
	}
	return r, nil
}

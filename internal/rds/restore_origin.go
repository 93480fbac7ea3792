package rds

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/awsapi"
	api "github.com/pgbackup/terraform-provider-pgbackup/internal/awsapi/rds"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/nearest"
)

// origin finds what is restored from, and the original.
func (p *RestorePlan) origin(ctx context.Context) (err error) {
	o := p.options
	var s api.Snapshot
	switch {
	case o.Point != nil:
		s, err = p.ofPoint(ctx)
	case o.Latest || !o.Moment.IsZero():
		return p.moment(ctx)
	case o.Snapshot != "":
		s, err = p.named(ctx)
	default:
		s, err = p.newest(ctx)
	}
	if err != nil {
		return err
	}
	if !api.IsPostgres(s.Engine) {
		return fmt.Errorf("%s %w: it is of %s, and only postgres and aurora-postgresql are", s, ErrUnfit, s.Engine)
	}
	p.From, p.Version = api.Origin{Snapshot: s}, s.EngineVersion
	db, err := o.Client.Database(ctx, s.Target)
	switch {
	case errors.Is(err, awsapi.ErrGone):
	case err != nil:
		return err
	case db.Engine != s.Engine:
		p.warn("%s is a database of %s by now and not what %s was taken of: nothing is taken over from it", db.Target, db.Engine, s)
	default:
		p.Source = &db
	}
	return nil
}

func (p *RestorePlan) ofPoint(ctx context.Context) (api.Snapshot, error) {
	m, c := p.options.Point, p.options.Client
	_, s, there, err := find(ctx, func(context.Context, string) (*api.Client, error) { return c, nil }, m)
	if err != nil {
		return s, err
	}
	return s, restorable(m, s, there)
}

// named reads a snapshot that was named, of an instance or of a cluster.
func (p *RestorePlan) named(ctx context.Context) (s api.Snapshot, err error) {
	o, name := p.options, p.options.Snapshot
	kinds := []bool{false, true}
	if strings.HasPrefix(name, "arn:") {
		a, err := api.ParseARN(name)
		if err != nil {
			return s, err
		}
		if a.Region != o.Client.Region() {
			return s, fmt.Errorf("snapshot %s is in %s: give --rds-region %s", name, a.Region, a.Region)
		}
		name, kinds = a.Name, []bool{a.Type == "cluster-snapshot"}
	} else if o.Of.ID != "" {
		kinds = []bool{o.Of.Cluster}
	}
	for _, cluster := range kinds {
		s, err = o.Client.Snapshot(ctx, name, cluster)
		if err == nil || !errors.Is(err, awsapi.ErrGone) {
			break
		}
	}
	switch {
	case errors.Is(err, awsapi.ErrGone):
		return s, fmt.Errorf("%w%s; `pgbackup-runner rds list` shows what there is", err, p.suggestion(ctx, name, kinds))
	case err != nil:
		return s, err
	case o.Of.ID != "" && s.Target != o.Of:
		return s, fmt.Errorf("%w of %s: %s is of %s", ErrNothing, o.Of, s, s.Target)
	}
	return s, ready(s)
}

// suggestion is a snapshot that is called almost so.
func (p *RestorePlan) suggestion(ctx context.Context, name string, kinds []bool) string {
	var names []string
	for _, cluster := range kinds {
		all, err := p.options.Client.Snapshots(ctx, api.Query{Target: api.Target{Cluster: cluster}})
		if err != nil {
			return ""
		}
		for _, s := range all {
			names = append(names, s.Name)
		}
	}
	return nearest.Suggestion(name, names)
}

// newest is the newest snapshot that can be restored.
func (p *RestorePlan) newest(ctx context.Context) (api.Snapshot, error) {
	o := p.options
	all, err := o.Client.Snapshots(ctx, api.Query{Target: o.Of})
	if err != nil {
		return api.Snapshot{}, err
	}
	var not []string
	for _, s := range all {
		if s.Ready() {
			if len(not) > 0 {
				p.warn("passed over newer snapshots that cannot be restored now: %s", strings.Join(not, ", "))
			}
			return s, nil
		}
		not = append(not, s.Name+" ("+s.Status+")")
	}
	if len(not) > 0 {
		return api.Snapshot{}, fmt.Errorf("%w of %s now: its snapshots are %s", ErrNothing, o.Of, strings.Join(not, ", "))
	}
	return api.Snapshot{}, p.noSnapshot(ctx)
}

// noSnapshot says why there is none, and what there may be instead.
func (p *RestorePlan) noSnapshot(ctx context.Context) error {
	o := p.options
	db, err := o.Client.Database(ctx, o.Of)
	switch {
	case errors.Is(err, awsapi.ErrGone):
		var ids []string
		if all, err := o.Client.Databases(ctx, o.Of.Cluster); err == nil {
			for _, d := range all {
				ids = append(ids, d.ID)
			}
		}
		return fmt.Errorf("%w: there is neither %s nor a snapshot of it in %s%s", ErrNothing, o.Of, o.Client.Region(), nearest.Suggestion(o.Of.ID, ids))
	case err != nil:
		return err
	case db.MemberOf != "":
		return fmt.Errorf("%w of %s itself: it is a member of cluster %s, whose snapshots hold its data; give --cluster %s", ErrNothing, o.Of, db.MemberOf, db.MemberOf)
	}
	return fmt.Errorf("%w: %s has no snapshot; --target-time restores a moment of its automated backups, if it has any", ErrNothing, o.Of)
}

func ready(s api.Snapshot) error {
	if s.Ready() {
		return nil
	}
	if failed(s) || s.Status == "deleting" {
		return fmt.Errorf("%w from %s: it is %s", ErrNothing, s, s.Status)
	}
	return fmt.Errorf("%w from %s yet: it is %s, %d %% done; try again later", ErrNothing, s, s.Status, s.Percent)
}

// moment checks that the database can be restored to the moment that was asked for.
func (p *RestorePlan) moment(ctx context.Context) error {
	o := p.options
	db, err := o.Client.Database(ctx, o.Of)
	gone := errors.Is(err, awsapi.ErrGone)
	switch {
	case err != nil && !gone:
		return err
	case gone && o.Of.Cluster:
		return fmt.Errorf("%w: %w; the automated backups of a cluster that is gone are restored from its snapshots: leave --target-time out", ErrNothing, err)
	case !gone && db.MemberOf != "":
		return fmt.Errorf("%w of %s itself: it is a member of cluster %s; give --cluster %s", ErrNothing, o.Of, db.MemberOf, db.MemberOf)
	case !gone && !api.IsPostgres(db.Engine):
		return fmt.Errorf("%s %w: it is of %s, and only postgres and aurora-postgresql are", o.Of, ErrUnfit, db.Engine)
	case !gone && db.RetentionDays == 0:
		return fmt.Errorf("%w: %s has no automated backups; restore a snapshot instead, and set a retention period for the next time", ErrNothing, o.Of)
	}
	from := api.Origin{Of: o.Of, Moment: o.Moment}
	earliest, latest := db.EarliestRestorable, db.LatestRestorable
	if !o.Of.Cluster {
		all, err := o.Client.Restorables(ctx, o.Of.ID)
		var kept api.Restorable
		if len(all) > 0 {
			kept = all[0]
		}
		switch {
		case err != nil && gone:
			return err
		case err != nil:
			p.warn("from when on %s can be restored is not known: %v", o.Of, err)
		case gone && len(all) == 0:
			return p.noSnapshot(ctx)
		case gone:
			from.Backups, earliest, latest = kept.Backups, kept.Earliest, kept.Latest
			from.Snapshot = api.Snapshot{Engine: kept.Engine, EngineVersion: kept.EngineVersion, AllocatedGiB: kept.AllocatedGiB, KMSKey: kept.KMSKey, User: kept.User, Port: kept.Port, IAMAuth: kept.IAMAuth, OptionGroup: kept.OptionGroup}
			if !api.IsPostgres(kept.Engine) {
				return fmt.Errorf("%s %w: it was of %s", o.Of, ErrUnfit, kept.Engine)
			}
		default:
			earliest = kept.Earliest
			if latest.IsZero() {
				latest = kept.Latest
			}
		}
	}
	if o.Latest {
		from.Moment = latest
	}
	if latest.IsZero() {
		return fmt.Errorf("%w: RDS names no moment that %s can be restored to yet; its first automated backup is not done", ErrNothing, o.Of)
	}
	if from.Moment.After(latest) || from.Moment.Before(earliest) {
		since := "the beginning of its backups"
		if !earliest.IsZero() {
			since = earliest.UTC().Format(time.RFC3339)
		}
		return fmt.Errorf("%s %w: %s can be restored to any moment from %s to %s", from.Moment.UTC().Format(time.RFC3339), ErrOutside, o.Of, since, latest.UTC().Format(time.RFC3339))
	}
	p.From, p.Version = from, from.Snapshot.EngineVersion
	if !gone {
		p.Source, p.Version = &db, db.EngineVersion
	}
	return nil
}

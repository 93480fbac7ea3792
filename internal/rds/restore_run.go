package rds

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/awsapi"
	api "github.com/pgbackup/terraform-provider-pgbackup/internal/awsapi/rds"
)

// Steps says in sentences what Run would do.
func (p *RestorePlan) Steps() []string {
	w, s := p.Wanted, p.Wanted.Shape
	if p.Resumes {
		return []string{fmt.Sprintf("go on waiting for %s, which this command began before (%s)", w.Target, p.found.Status), "print how to reach it"}
	}
	what := fmt.Sprintf("restore %s from %s: %s %s", w.Target, p.From, w.Engine, p.Version)
	if p.Member == "" {
		what += fmt.Sprintf(", class %s, %d GiB", cmp.Or(s.Class, "of the original"), w.AllocatedGiB)
	}
	steps := []string{
		what,
		fmt.Sprintf("place it without a public address in subnet group %s with security groups %s, parameter group %s, port %d", cmp.Or(s.SubnetGroup, "(default)"),
			cmp.Or(strings.Join(s.SecurityGroups, ", "), "(default)"), cmp.Or(s.ParameterGroup, "(default)"), cmp.Or(s.Port, 5432)),
		fmt.Sprintf("wait until it is available, %s at most", p.options.Limit),
	}
	if p.Member != "" {
		steps = append(steps, fmt.Sprintf("make its instance %s of class %s, and wait for it", p.Member, s.Class))
	}
	return append(steps, "print how to reach it")
}

// Run makes the database and waits until it takes connections. An error that wraps
// awsapi.ErrTimeout says that it is still being made: planned and run again, it goes
// on from there. Nothing that was made is deleted, whatever happens.
func (p *RestorePlan) Run(ctx context.Context) (Restored, error) {
	o, begun := p.options, p.options.Now()
	if p.Wanted.ID == "" {
		return Restored{}, fmt.Errorf("the new database %w", ErrName)
	}
	if !p.Resumes {
		if err := o.Client.Restore(ctx, p.From, p.Wanted); err != nil {
			return Restored{}, err
		}
		o.Log.Info("restore begun", "database", p.Wanted.String(), "from", p.From.String())
	}
	if o.Limit < 0 {
		return Restored{Target: p.Wanted.Target, From: p.From.String()}, nil
	}
	db, err := p.wait(ctx, p.Wanted.Target, o.Limit)
	if err != nil {
		return Restored{}, err
	}
	r := Restored{Target: p.Wanted.Target, ARN: db.ARN, From: p.From.String(), Class: db.Shape.Class}
	if p.Resumes { // the newest snapshot may be another one by now
		r.From = cmp.Or(db.Tags[TagRestoredFrom], r.From)
	}
	if !p.Wanted.Cluster {
		r.Instance = p.Wanted.ID
	}
	if p.Member != "" {
		if err := p.addMember(ctx); err != nil {
			return r, err
		}
		member, err := p.wait(ctx, api.Target{ID: p.Member}, max(time.Minute, o.Limit-o.Now().Sub(begun)))
		if err != nil {
			return r, err
		}
		r.Instance, r.Class = p.Member, member.Shape.Class
		if db, err = o.Client.Database(ctx, p.Wanted.Target); err != nil {
			return r, err
		}
	}
	if db.Public {
		p.warn("%s has a public address, which was not asked for: `aws rds modify-db-instance --db-instance-identifier %s --no-publicly-accessible`", db.Target, cmp.Or(r.Instance, r.ID))
	}
	r.Endpoint, r.Port, r.User, r.Engine, r.Version, r.Took = db.Endpoint, db.Shape.Port, db.User, db.Engine, db.EngineVersion, o.Now().Sub(begun)
	return r, nil
}

// addMember makes the instance of a cluster, if an earlier run did not.
func (p *RestorePlan) addMember(ctx context.Context) error {
	c := p.options.Client
	db, err := c.Database(ctx, api.Target{ID: p.Member})
	switch {
	case errors.Is(err, awsapi.ErrGone):
		p.options.Log.Info("making the instance of the cluster", "instance", p.Member, "class", p.Wanted.Shape.Class)
		return c.AddMember(ctx, p.Member, p.Wanted)
	case err == nil && db.MemberOf != p.Wanted.ID:
		return fmt.Errorf("%s %w; add an instance to %s by hand", db.Target, ErrExists, p.Wanted.Target)
	}
	return err
}

func (p *RestorePlan) wait(ctx context.Context, t api.Target, limit time.Duration) (api.Database, error) {
	return waitAvailable(ctx, p.options.Client, t, waiting{limit: limit, first: p.options.First, tell: p.options.Progress, again: "run the same command again to go on waiting"}, nil)
}

// waiting is how long a database is waited for.
type waiting struct {
	limit, first time.Duration
	tell         func(what, state string)
	again        string // what to do when it takes longer
}

// waitAvailable waits until a database takes connections and, where more is given,
// until that says so too.
func waitAvailable(ctx context.Context, c *api.Client, t api.Target, w waiting, more func(api.Database) bool) (db api.Database, err error) {
	what, begun := t.String()+" to be available", time.Now()
	err = awsapi.Until(ctx, awsapi.Waiting{What: what, Limit: w.limit, First: w.first, Most: 30 * time.Second},
		func(ctx context.Context) (bool, string, error) {
			found, err := c.Database(ctx, t)
			if errors.Is(err, awsapi.ErrThrottled) || errors.Is(err, awsapi.ErrGone) && time.Since(begun) < appears {
				return false, err.Error(), nil
			}
			if err != nil {
				return false, "", err
			}
			db = found
			if hopeless(db.Status) {
				return false, "", fmt.Errorf("it is %s: look at its events in the RDS console", db.Status)
			}
			w.tell(what, db.Status)
			state := db.Status
			if w.again != "" {
				state += "; " + w.again
			}
			ready := db.Status == api.StatusAvailable && (db.Endpoint != "" || t.Cluster)
			return ready && (more == nil || more(db)), state, nil
		})
	return db, err
}

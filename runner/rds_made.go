package main

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/approval"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/awsapi"
	awsrds "github.com/pgbackup/terraform-provider-pgbackup/internal/awsapi/rds"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/duration"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/exitcode"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/observe"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/rds"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
)

// repositoryNamed reports whether a flag, a variable or the job names a repository.
func (a *app) repositoryNamed() bool {
	return a.flags.repository != "" || os.Getenv(envBucket) != "" || a.job != nil && a.job.Repository != ""
}

// rdsError gives the errors of restoring and promoting their exit codes.
func rdsError(err error) error {
	var coded *exitcode.Error
	switch {
	case err == nil, errors.As(err, &coded):
		return err
	case isAny(err, repo.ErrDamaged, awsrds.ErrKeyUnusable):
		return exitcode.With(exitcode.BadBackup, err)
	case isAny(err, rds.ErrExists, rds.ErrName, rds.ErrUnfit, rds.ErrOutside, rds.ErrNotReplica, approval.ErrNeeded):
		return usage(err)
	case isAny(err, rds.ErrNothing, awsapi.ErrGone):
		return notFound(err)
	}
	return err
}

// rdsWait reads --wait.
func rdsWait(text string) (time.Duration, error) {
	d, err := limit("--wait", text, duration.Duration{})
	if err == nil && d <= 0 {
		err = usagef("--wait %s: give a duration such as 90m, or 0 to only begin", text)
	}
	return d, err
}

// rdsProgress shows what is waited for: on a terminal all the time, in a log when it
// changes.
type rdsProgress struct {
	*app
	mu          sync.Mutex
	what, state string
	begun       time.Time
}

func newRDSProgress(a *app) *rdsProgress { return &rdsProgress{app: a, begun: a.now()} }

func (p *rdsProgress) tell(what, state string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if what != p.what || state != p.state {
		p.log.Info("waiting for "+what, "state", state, "for", p.now().Sub(p.begun).Round(time.Second).String())
	}
	p.what, p.state = what, state
}

// draw shows it until the function it returns is called.
func (p *rdsProgress) draw() func() {
	return p.screen.Draw(func() observe.Status {
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.what == "" {
			return observe.Status{Step: "asking RDS"}
		}
		return observe.Status{Step: fmt.Sprintf("waiting for %s: %s for %s", p.what, p.state, p.now().Sub(p.begun).Round(time.Second))}
	})
}

// rdsDocument is a database that was made, in the documents of --json.
type rdsDocument struct {
	Identifier string  `json:"identifier"`
	Cluster    bool    `json:"cluster"`
	Instance   string  `json:"instance,omitempty"`
	ARN        string  `json:"arn,omitempty"`
	From       string  `json:"from,omitempty"`
	Endpoint   string  `json:"endpoint"` // "" while it is not waited for
	Port       int     `json:"port"`
	User       string  `json:"user,omitempty"`
	Engine     string  `json:"engine,omitempty"`
	Version    string  `json:"engine_version,omitempty"`
	Class      string  `json:"class,omitempty"`
	Seconds    float64 `json:"seconds"`
}

// rdsMade tells of a database that was restored or promoted, and what to do next.
func (a *app) rdsMade(verb string, r rds.Restored, notes, warnings []string, field string) error {
	next := nextSteps(r, field == "restored")
	if a.flags.json {
		doc := map[string]any{field: rdsDocument{
			Identifier: r.ID, Cluster: r.Cluster, Instance: r.Instance, ARN: r.ARN, From: r.From, Endpoint: r.Endpoint, Port: r.Port, User: r.User,
			Engine: r.Engine, Version: r.Version, Class: r.Class, Seconds: r.Took.Seconds(),
		}, "next": commandsOf(next), "not_taken_over": nonNil(notes), "warnings": nonNil(warnings)}
		if err := a.printJSON(doc); err != nil {
			return err
		}
	}
	if r.Endpoint == "" {
		a.say("Begun: %s is being made from %s. The same command again waits for it.", r.Target, r.From)
	} else {
		from := ""
		if r.From != "" {
			from = " from " + r.From
		}
		a.say("%s %s%s in %s: %s %s, %s.", verb, r.Target, from, took(r.Took), r.Engine, r.Version, r.Class)
		a.say("Endpoint: %s:%d", r.Endpoint, r.Port)
	}
	for _, n := range notes {
		a.say("Mind: %s", n)
	}
	for _, s := range next {
		a.say("%s:\n  %s", s.what, s.command)
	}
	if len(warnings) > 0 {
		return errWarned
	}
	return nil
}

// nextStep is a command to go on with.
type nextStep struct{ name, what, command string }

func commandsOf(steps []nextStep) map[string]string {
	all := map[string]string{}
	for _, s := range steps {
		all[s.name] = s.command
	}
	return all
}

// nextSteps are the commands one wants next. The password is the master user's when
// the backup was taken, and nothing here knows it.
func nextSteps(r rds.Restored, restored bool) []nextStep {
	if r.Endpoint == "" {
		return nil
	}
	steps := []nextStep{
		{"psql", "Connect", fmt.Sprintf("psql 'host=%s port=%d user=%s dbname=postgres sslmode=require'", r.Endpoint, r.Port, r.User)},
		{"point", "Point the application to it", fmt.Sprintf("PGHOST=%s PGPORT=%d, or its DATABASE_URL: postgres://USER@%s:%d/DATABASE?sslmode=require", r.Endpoint, r.Port, r.Endpoint, r.Port)},
	}
	if !restored {
		return steps
	}
	remove := fmt.Sprintf("aws rds modify-db-instance --db-instance-identifier %s --no-deletion-protection --apply-immediately && aws rds delete-db-instance --db-instance-identifier %s --skip-final-snapshot --delete-automated-backups", r.ID, r.ID)
	if r.Cluster {
		remove = fmt.Sprintf("aws rds modify-db-cluster --db-cluster-identifier %s --no-deletion-protection --apply-immediately", r.ID)
		if r.Instance != "" {
			remove += fmt.Sprintf(" && aws rds delete-db-instance --db-instance-identifier %s --skip-final-snapshot", r.Instance)
		}
		remove += fmt.Sprintf(" && aws rds delete-db-cluster --db-cluster-identifier %s --skip-final-snapshot", r.ID)
	}
	return append(steps, nextStep{"delete", "Delete it again, when it is not needed", remove})
}

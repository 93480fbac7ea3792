package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/exitcode"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/job"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/observe"
)

// How long telling may take. Neither a receiver that is slow nor one that is gone
// may hold up what comes after a run.
const (
	tellStart   = 10 * time.Second // beside the beginning of the run
	tellEnd     = 30 * time.Second // metrics and all receivers together
	tellStopped = 10 * time.Second // after a signal: whoever sent it waits
)

// tellOfJobs makes the commands that a job may be tell of it: start, end, and the
// numbers of the run. A command knows nothing of that, it only notes what it did.
func (a *app) tellOfJobs(root *cobra.Command) {
	for _, cmd := range root.Commands() {
		a.tellOfJobs(cmd)
		if run := cmd.RunE; isJobCommand(cmd) {
			cmd.RunE = func(cmd *cobra.Command, args []string) error {
				if !a.runsJob(cmd, args) {
					return run(cmd, args)
				}
				return a.tell(cmd, func() error { return run(cmd, args) })
			}
		}
	}
}

// isJobCommand reports whether some kind of job runs the command, and ends. A receiver
// of WAL does not: nobody waits for its end, and it tells by itself how it stands.
func isJobCommand(cmd *cobra.Command) bool {
	return slices.ContainsFunc(job.Verbs(), func(words []string) bool { return slices.Equal(words, wordsOf(cmd)) })
}

// wordsOf a command, without the program's name.
func wordsOf(cmd *cobra.Command) []string { return strings.Fields(cmd.CommandPath())[1:] }

// runsJob tells whether this is a run of the job. A verification of what a backup
// job made, started by hand with its job file, is none: it would pass for a backup.
// Nor is a dry run, or one of something else than the job says.
func (a *app) runsJob(cmd *cobra.Command, args []string) bool {
	if a.job == nil || !slices.Equal(a.job.Verb(), wordsOf(cmd)) {
		return false
	}
	if dry := cmd.Flags().Lookup("dry-run"); dry != nil && dry.Value.String() == "true" {
		return false
	}
	if by := a.notOfJob(cmd, args); by != "" {
		a.log.Info("this run does something else than the job says, so nobody is told of it and no metrics are published", "job", a.job.Name, "because_of", by)
		return false
	}
	return true
}

// telling is a run that others are told of.
type telling struct {
	*app
	report  observe.Report // what is the same from start to end
	started []chan error   // by receiver: its message about the start; nil where it gets none
	stop    context.CancelFunc
}

// tell runs the job and tells of it. Trouble in telling is a warning: it never
// fails what succeeded, nor hides why something failed.
func (a *app) tell(cmd *cobra.Command, run func() error) error {
	t := &telling{app: a, report: a.newReport(strings.Join(wordsOf(cmd), " "))}
	t.begin(cmd.Context())
	err := run()
	return t.end(cmd.Context(), err)
}

func (a *app) newReport(command string) observe.Report {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown host"
	}
	place := a.job.Repository
	if at, err := a.place(); err == nil {
		place = at.String()
	}
	return observe.Report{
		Run: rand.Text(), Job: a.job.Name, Kind: a.job.Kind, Command: command, Repository: place, Policy: a.job.Policy,
		Host: host, Runner: runnerVersion(), Start: a.now().UTC(),
	}
}

// begin tells of the start, while the run goes on already.
func (t *telling) begin(ctx context.Context) {
	// A signal ends the run, which is then told: not this message.
	ctx, t.stop = context.WithTimeout(context.WithoutCancel(ctx), tellStart)
	report := t.report
	report.Event = job.OnStart
	t.started = make([]chan error, len(t.job.Notify))
	for i, n := range t.job.Notify {
		if slices.Contains(n.Events(), job.OnStart) {
			done := make(chan error, 1)
			t.started[i] = done
			go func() { done <- t.send(ctx, n, report) }()
		}
	}
}

// end tells how the run ended, and gives its error with the warnings of telling.
func (t *telling) end(ctx context.Context, err error) error {
	defer t.stop()
	report := t.ended(ctx, err)
	interrupted := ctx.Err() != nil
	ctx, stop := untilTold(ctx)
	defer stop()
	var mu sync.Mutex
	var problems []string
	var all sync.WaitGroup
	failed := func(what string, err error) {
		mu.Lock()
		defer mu.Unlock()
		problems = append(problems, fmt.Sprintf("%s: %v", what, err))
	}
	all.Go(func() {
		if err := t.publish(ctx, report, interrupted); err != nil {
			failed("the run is done, but its metrics were not published", err)
		}
	})
	for i, n := range t.job.Notify {
		all.Go(func() { t.notify(ctx, i, n, report, failed) })
	}
	all.Wait()
	slices.Sort(problems)
	t.warn(problems...)
	if len(problems) > 0 && err == nil {
		return errWarned
	}
	return err
}

// ended is the report of the end.
func (t *telling) ended(ctx context.Context, err error) observe.Report {
	r, o := t.report, t.sofar()
	r.End = t.now().UTC()
	r.Seconds = r.End.Sub(r.Start).Seconds()
	code := endCode(ctx, t.args, err)
	r.Event, r.ExitCode, r.Outcome = observe.EventOf(code), &code, code.String()
	r.Error = errorLine(ctx, t.withKeyTrail(withoutOutput(err)))
	r.Warnings, r.Points, r.DeletedPoints, r.DeletedBytes = o.warnings, o.points, o.deleted, o.deletedBytes
	r.Drills = o.drills
	if r.Error == "" && r.Event == job.OnFailure {
		r.Error = exitcode.Table()[code].Meaning
	}
	return r
}

// untilTold is how long the end of a run is told, also when a signal ended the run
// or comes now.
func untilTold(run context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(run), tellEnd)
	stop := context.AfterFunc(run, func() {
		select {
		case <-time.After(tellStopped):
			cancel()
		case <-ctx.Done():
		}
	})
	return ctx, func() {
		stop()
		cancel()
	}
}

// notify tells one receiver of the end, after what it is told of the start.
func (t *telling) notify(ctx context.Context, i int, n job.Notification, report observe.Report, failed func(string, error)) {
	who := fmt.Sprintf("notify[%d] (%s, %s)", i, n.Channel, n.URLRef)
	if started := t.started[i]; started != nil {
		select {
		case err := <-started:
			if err != nil {
				failed(who+" was not told of the start", err)
			}
		case <-ctx.Done():
			failed(who+" was not told of the start", context.Cause(ctx))
		}
	}
	if !slices.Contains(n.Events(), report.Event) {
		return
	}
	if err := t.send(ctx, n, report); err != nil {
		failed(fmt.Sprintf("%s was not told of the %s", who, report.Event), err)
	}
}

// send tells one receiver. Its URL is read now, and lives only here.
func (t *telling) send(ctx context.Context, n job.Notification, report observe.Report) error {
	to := observe.Receiver{Channel: n.Channel, Agent: "pgbackup-runner/" + runnerVersion()}
	var err error
	if to.URL, err = t.secrets().Resolve(ctx, n.URLRef); err != nil {
		return err
	}
	if !n.SecretRef.IsZero() {
		if to.Secret, err = t.secrets().Resolve(ctx, n.SecretRef); err != nil {
			return err
		}
	}
	return to.Send(ctx, report, t.now())
}

package drill

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/drillreport"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/restore"
)

// judge turns what was found, and the error that broke the drill off, into the
// outcome.
func (r *run) judge(ctx context.Context, err error) {
	if err != nil {
		why := oneLine(err.Error())
		switch cause := context.Cause(ctx); {
		case cause != nil:
			// Whatever broke when everything was stopped is nobody's fault.
			if !errors.Is(err, cause) {
				why = cause.Error() + ": " + why
			}
			r.unsure = append([]string{why}, r.unsure...)
		case r.blames(err):
			r.bad = append([]string{why}, r.bad...)
		default:
			r.unsure = append([]string{why}, r.unsure...)
		}
	}
	if len(r.bad) > 0 && r.gone(ctx) {
		// Data that a rotation took away under our hands looks like damage.
		r.unsure = append([]string{"the point was deleted while it was drilled"}, r.bad...)
		r.bad = nil
	}
	switch {
	case len(r.bad) > 0:
		r.report.Outcome, r.report.Reason = drillreport.BadBackup, said(r.bad)
	case len(r.unsure) > 0:
		r.report.Outcome, r.report.Reason = drillreport.CouldNotRun, said(r.unsure)
	default:
		r.report.Outcome = drillreport.Proven
	}
	r.judgeRTO()
	r.judgeRPO()
}

// blames tells whether an error is about what is in the repository.
func (r *run) blames(err error) bool {
	if !r.wholeServer() {
		return restore.IsBadBackup(err)
	}
	bad, point := blameRecovery(err)
	r.ofWAL = r.ofWAL || bad && !point
	return bad
}

// gone tells whether the point is no longer there. It is, where that can
// not be seen.
func (r *run) gone(ctx context.Context) bool {
	if r.ref.ID == "" {
		return false
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), ending)
	defer cancel()
	_, err := r.Repo.Manifest(ctx, r.ref)
	return errors.Is(err, repo.ErrNotFound)
}

// judgeRTO holds the time against the objective, where a database came back.
func (r *run) judgeRTO() {
	rto := &r.report.RTO
	if rto.Objective <= 0 || r.report.Outcome != drillreport.Proven {
		return
	}
	kept := rto.Seconds <= rto.Objective
	rto.Kept = &kept
	if !kept {
		r.warn("the restore took %.0f seconds, the objective (RTO) is %.0f", rto.Seconds, rto.Objective)
	}
}

// judgeRPO holds what would have been lost against the objective. Without heartbeats a
// server that nobody writes to looks as one whose WAL does not arrive: then only what
// is within the objective is said.
func (r *run) judgeRPO() {
	rpo := r.report.RPO
	if rpo == nil || rpo.Objective <= 0 || r.report.Outcome != drillreport.Proven {
		return
	}
	kept := rpo.Seconds <= rpo.Objective
	if !kept && r.report.Recovery.Every == 0 {
		return
	}
	rpo.Kept = &kept
	if !kept {
		r.warn("%.0f seconds of changes would have been lost, the objective (RPO) is %.0f", rpo.Seconds, rpo.Objective)
	}
}

// maxReason bounds the reason of a report, in bytes.
const maxReason = 2000

func said(list []string) string {
	text := strings.Join(list, "; ")
	if len(text) > maxReason {
		text = strings.ToValidUTF8(text[:maxReason], "") + " …"
	}
	return text
}

// oneLine joins what stands on several lines.
func oneLine(s string) string {
	var parts []string
	for line := range strings.SplitSeq(s, "\n") {
		if line = strings.TrimSpace(line); line != "" {
			parts = append(parts, line)
		}
	}
	return strings.Join(parts, "; ")
}

// condemn marks the point of a bad backup. One that was read from the replica is
// not: the copy of the primary may be good.
func (r *run) condemn(ctx context.Context) error {
	if r.report.Outcome != drillreport.BadBackup || r.ref.ID == "" {
		return nil
	}
	if r.ofWAL {
		r.warn("%s is not marked as bad: it is the archived WAL after it that is; take a base backup now, from which on all can be recovered again", r.ref.ID)
		return nil
	}
	if r.Reports != r.Repo {
		r.warn("%s was read from the replica and is not marked as bad: the primary's copy of it may be good; `pgbackup-runner verify %s` tells", r.ref.ID, r.ref.ID)
		return nil
	}
	why := fmt.Sprintf("drill %s, report %s: %s", r.Name, r.report.ID, r.report.Reason)
	if err := r.Repo.Condemn(ctx, r.ref, repo.Mark{At: r.report.End, By: r.By, Why: why}); err != nil {
		r.warn("%s could not be marked as bad, and is still chosen as latest: %v", r.ref.ID, err)
		return fmt.Errorf("%s is a bad backup, but could not be marked: %w", r.ref, err)
	}
	return nil
}

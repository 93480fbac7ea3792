package repo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/parallel"
)

// AuditFormat is the newest form of an entry of the audit log.
const AuditFormat = 1

// AuditEntry is one thing that somebody did and an auditor asks for: who, what,
// when (M5). Backups, deletions, holds and policies have records of their own
// (manifests, tombstones, marks, revisions); here is what leaves no other trace.
type AuditEntry struct {
	Format int       `json:"format"`
	ID     string    `json:"id"` // when it was and eight random characters, as ids of points
	At     time.Time `json:"at"`
	By     string    `json:"by"`   // user@host
	What   string    `json:"what"` // such as restore, rds_restore, rds_promote, import
	// Of is what it was done with, such as the name of a recovery point; To where.
	Of string `json:"of,omitempty"`
	To string `json:"to,omitempty"`
	// Outcome is begun, done or failed. One that begins and never ends was killed.
	Outcome string `json:"outcome"`
	Begun   string `json:"begun,omitempty"` // of an end: the id of its beginning
	// Approval is the code that was given, "" where none was asked for.
	Approval string            `json:"approval,omitempty"`
	Error    string            `json:"error,omitempty"`
	Detail   map[string]string `json:"detail,omitempty"`
	Runner   string            `json:"runner,omitempty"` // version
}

// PutAudit adds an entry to the audit log and returns its id. At is filled in
// where it is zero.
func (r *Repository) PutAudit(ctx context.Context, e AuditEntry) (string, error) {
	if e.At.IsZero() {
		e.At = time.Now()
	}
	e.Format, e.At, e.ID = AuditFormat, e.At.UTC(), NewID(e.At)
	if err := r.putRecord(ctx, auditPrefix+e.ID+".json", e); err != nil {
		return "", fmt.Errorf("write the audit log of %s: %w", r.URL(), err)
	}
	return e.ID, nil
}

// AuditListed is an entry of the log; Problem says why one can not be read.
type AuditListed struct {
	AuditEntry
	Key     string
	Problem error
}

// AuditLog reads the entries since a moment, the newest first; a zero since is all.
func (r *Repository) AuditLog(ctx context.Context, since time.Time) ([]AuditListed, error) {
	var all []AuditListed
	for info, err := range r.store.List(ctx, auditPrefix) {
		if err != nil {
			return nil, fmt.Errorf("list the audit log of %s: %w", r.URL(), err)
		}
		id, is := strings.CutSuffix(strings.TrimPrefix(info.Key, auditPrefix), ".json")
		at, err := ParseID(id)
		if err != nil || !is || at.Before(since.UTC().Truncate(time.Second)) {
			continue
		}
		all = append(all, AuditListed{AuditEntry: AuditEntry{ID: id, At: at}, Key: info.Key})
	}
	slices.SortFunc(all, func(a, b AuditListed) int { return strings.Compare(b.ID, a.ID) })
	err := parallel.Each(ctx, loaders, len(all), func(ctx context.Context, i int) error {
		e := &all[i]
		data, err := r.readRecord(ctx, e.Key)
		switch {
		case errors.Is(err, ErrDamaged), errors.Is(err, ErrNotFound):
			e.Problem = err
			return nil
		case err != nil:
			return err
		}
		var read AuditEntry
		switch err := json.Unmarshal(data, &read); {
		case err != nil:
			e.Problem = fmt.Errorf("read %s: %w: %w", e.Key, ErrDamaged, err)
		case read.ID != e.ID:
			e.Problem = fmt.Errorf("read %s: %w: it says it is %q", e.Key, ErrDamaged, read.ID)
		default:
			e.AuditEntry = read
		}
		return nil
	})
	return all, err
}

package main

import (
	"errors"
	"strings"
	"testing"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
)

func TestWhatBeganAndEndedIsOneRowAndWhatWasKilledIsNamed(t *testing.T) {
	t.Parallel()
	entry := func(id, outcome, begun string, problem error) repo.AuditListed {
		return repo.AuditListed{AuditEntry: repo.AuditEntry{ID: id, Outcome: outcome, Begun: begun}, Problem: problem}
	}
	rows := auditRows([]repo.AuditListed{
		entry("6", "done", "5", nil), entry("5", "begun", "", nil), entry("4", "", "", errors.New("damaged")), entry("3", "begun", "", nil), entry("2", "failed", "1", nil),
	})
	var got []string
	for _, r := range rows {
		text := r.ID + r.Outcome + r.Problem
		if r.Unended {
			text += "!"
		}
		got = append(got, text)
	}
	if text := strings.Join(got, " "); text != "6done 4damaged 3begun! 2failed" {
		t.Error(text)
	}
}

package main

import (
	"context"
	"encoding/json"
	"strings"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
)

// hold is why a point is held, in the document of `show --json`.
type hold struct {
	Since time.Time `json:"since"`
	By    string    `json:"by,omitempty"`
	Why   string    `json:"why,omitempty"`
}

// readHold reads why a point is held.
func readHold(ctx context.Context, r *repo.Repository, ref repo.Ref) (hold, error) {
	m, err := r.LastHold(ctx, ref)
	if err != nil {
		return hold{}, err
	}
	return hold{Since: m.At.UTC(), By: m.By, Why: m.Why}, nil
}

// withHold is a manifest as JSON, and beside its own fields why it is held.
func withHold(m *repo.Manifest, h *hold) (any, error) {
	if h == nil {
		return m, nil
	}
	manifest, err := json.Marshal(m)
	if err != nil {
		return nil, err
	}
	held, err := json.Marshal(h)
	if err != nil {
		return nil, err
	}
	return json.RawMessage(strings.TrimSuffix(string(manifest), "}") + `,"hold":` + string(held) + "}"), nil
}

package main

import (
	"context"
	"fmt"
	"os"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/secretref"
)

// scratchFile writes what a reference points to into a file of our own, for
// programs that read files only. It is gone at the end of the run.
func (a *app) scratchFile(ctx context.Context, ref secretref.Ref) (string, error) {
	data, err := a.secrets().Resolve(ctx, ref)
	if err != nil {
		return "", err
	}
	f, err := os.CreateTemp("", "pgbackup-*") // 0600
	if err != nil {
		return "", fmt.Errorf("make room for %s: %w", ref, err)
	}
	a.scratch = append(a.scratch, f.Name())
	if _, err := f.Write(data); err != nil {
		f.Close()
		return "", fmt.Errorf("write %s to %s: %w", ref, f.Name(), err)
	}
	return f.Name(), f.Close()
}

func (a *app) removeScratch() {
	for _, name := range a.scratch {
		if err := os.Remove(name); err != nil && !os.IsNotExist(err) {
			a.log.Warn("a temporary file could not be removed", "file", name, "error", err)
		}
	}
	a.scratch = nil
}

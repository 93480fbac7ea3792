package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/deploy/host"
)

// jobPath is where the job file is on this machine, and the file to write there
// when it comes from a bucket.
func (a *app) jobPath(f installFlags) (string, []host.File) {
	if !isBucketURL(a.flags.job) {
		return a.flags.job, nil
	}
	path := filepath.Join(f.jobFolder, a.job.Name+".job.json")
	return path, []host.File{{Path: path, Content: string(a.jobFile), Mode: 0o644}}
}

// makeJobFolder makes the folder that a job file is copied to: on a new machine
// there is none.
func (a *app) makeJobFolder(f installFlags) error {
	if !isBucketURL(a.flags.job) {
		return nil
	}
	err := os.MkdirAll(f.jobFolder, 0o755)
	if pe := (*fs.PathError)(nil); errors.As(err, &pe) {
		err = pe.Err
	}
	if err != nil {
		return fmt.Errorf("make %s: %w; run this as root, or give another --job-directory", f.jobFolder, err)
	}
	return nil
}

// systemdRuns is what sd_booted(3) looks at.
func systemdRuns() bool {
	st, err := os.Lstat("/run/systemd/system")
	return err == nil && st.IsDir()
}

func systemctl(ctx context.Context, args ...string) error {
	out, err := exec.CommandContext(ctx, "systemctl", args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("systemctl %v: %w: %s", args, err, oneLine(string(out)))
	}
	return nil
}

func sha256Of(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

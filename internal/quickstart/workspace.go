package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
)

// The workspace, below the root of the project: emptied at the start, kept at
// the end for whoever wants to look.
const (
	workspace = ".quickstart"

	keyFile         = workspace + "/repository.key"
	terraformFolder = workspace + "/terraform"
	terraformConfig = workspace + "/terraform.rc"
	mirrorFolder    = workspace + "/mirror"
	systemdFolder   = workspace + "/etc/systemd/system"
	applyLog        = workspace + "/apply.log"

	exampleFolder = "examples/quickstart"
	runnerName    = "pgbackup-runner"
)

// forgetEnvironment drops what the user's shell says about PostgreSQL, Terraform
// and backups: it would lead the commands somewhere else.
func forgetEnvironment() error {
	for _, e := range os.Environ() {
		name, _, _ := strings.Cut(e, "=")
		if !disturbs(name) {
			continue
		}
		if err := os.Unsetenv(name); err != nil {
			return fmt.Errorf("unset %s: %w", name, err)
		}
	}
	return nil
}

func disturbs(name string) bool {
	if name == "PGBACKUP_PG_BIN" { // says which PostgreSQL to use
		return false
	}
	for _, prefix := range []string{"PG", "TF_", "BACKUP_"} {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return name == "DATABASE_URL"
}

// prepareWorkspace makes an empty workspace with the provider in a mirror and the
// example beside it.
func prepareWorkspace(provider string) error {
	if runtime.GOOS != "linux" {
		return fmt.Errorf("the runner is built for Linux and this is %s: try it in a Linux machine or container", runtime.GOOS)
	}
	if _, err := os.Stat(exampleFolder); err != nil {
		return fmt.Errorf("run `make quickstart` in the root of the project: %w", err)
	}
	if err := os.RemoveAll(workspace); err != nil {
		return fmt.Errorf("empty the workspace of an earlier run: %w; remove %s yourself", err, workspace)
	}
	for _, dir := range []string{terraformFolder, mirrorFolder, systemdFolder} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return fmt.Errorf("make the workspace: %w", err)
		}
	}
	return errors.Join(mirror(provider), copyExample())
}

// mirror puts the provider where `init` finds it without a registry, under the
// name each of the two programs looks for.
func mirror(provider string) error {
	for _, host := range []string{"registry.terraform.io", "registry.opentofu.org"} {
		folder := filepath.Join(mirrorFolder, host, "pgbackup", "pgbackup", "0.0.1", runtime.GOOS+"_"+runtime.GOARCH)
		if err := os.MkdirAll(folder, 0o755); err != nil {
			return fmt.Errorf("make the provider mirror: %w", err)
		}
		if err := copyFile(provider, filepath.Join(folder, "terraform-provider-pgbackup_v0.0.1"), 0o755); err != nil {
			return fmt.Errorf("make the provider mirror: %w", err)
		}
	}
	path, err := filepath.Abs(mirrorFolder)
	if err != nil {
		return err
	}
	text := fmt.Sprintf("disable_checkpoint = true\n\nprovider_installation {\n  filesystem_mirror {\n    path = %q\n  }\n}\n", path)
	if err := os.WriteFile(terraformConfig, []byte(text), 0o644); err != nil {
		return fmt.Errorf("write Terraform's settings: %w", err)
	}
	return nil
}

func copyExample() error {
	files, err := filepath.Glob(exampleFolder + "/*.tf")
	if err != nil {
		return err
	}
	for _, f := range files {
		if err := copyFile(f, filepath.Join(terraformFolder, filepath.Base(f)), 0o644); err != nil {
			return fmt.Errorf("copy the example: %w", err)
		}
	}
	return nil
}

// writeVariables gives the example's variables their values, in JSON because that
// needs no escaping of paths.
func writeVariables(values map[string]any) error {
	text, err := json.MarshalIndent(values, "", "  ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(terraformFolder+"/terraform.tfvars.json", append(text, '\n'), 0o644); err != nil {
		return fmt.Errorf("write the example's variables: %w", err)
	}
	return nil
}

// copyFile copies, because a link would change with the next build.
func copyFile(from, to string, mode fs.FileMode) (err error) {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	_, err = io.Copy(out, in)
	return err
}

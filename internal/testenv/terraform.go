package testenv

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
)

// Terraform makes terraform-plugin-testing use a CLI of this machine, without
// the network, and returns its path: `terraform` from PATH, or else the `tofu`
// that `make tools` builds. PGBACKUP_TF=tofu or PGBACKUP_TF=terraform chooses
// one. The test fails when it is not there.
//
// The choice is made once for the process: the framework reads it from the
// environment, so tests of one run can not differ.
func Terraform(t testing.TB) string {
	t.Helper()
	cli, err := terraform()
	if err != nil {
		t.Fatal(err)
	}
	return cli
}

var terraform = sync.OnceValues(func() (string, error) {
	name, cli, err := findTerraform(os.Getenv("PGBACKUP_TF"))
	if err != nil {
		return "", err
	}
	env := map[string]string{
		"TF_ACC":                "1",
		"TF_ACC_TERRAFORM_PATH": cli,
		"CHECKPOINT_DISABLE":    "1", // asks nobody for a newer version
	}
	if name == "tofu" {
		env["TF_ACC_PROVIDER_HOST"] = "registry.opentofu.org"
		env["TF_ACC_PROVIDER_NAMESPACE"] = "hashicorp"
	}
	for key, value := range env {
		if err := os.Setenv(key, value); err != nil {
			return "", err
		}
	}
	// A file that is not there makes the CLI print a warning into every output.
	if file := os.Getenv("TF_CLI_CONFIG_FILE"); file != "" {
		if _, err := os.Stat(file); errors.Is(err, fs.ErrNotExist) {
			return cli, os.Unsetenv("TF_CLI_CONFIG_FILE")
		}
	}
	return cli, nil
})

func findTerraform(wanted string) (name, path string, err error) {
	names := []string{"terraform", "tofu"}
	switch wanted {
	case "":
	case "terraform", "tofu":
		names = []string{wanted}
	default:
		return "", "", fmt.Errorf("PGBACKUP_TF is %q: give terraform or tofu", wanted)
	}
	for _, name := range names {
		if path, err := exec.LookPath(name); err == nil {
			return name, path, nil
		}
		if path, ok := pinned(name); ok {
			return name, path, nil
		}
	}
	return "", "", fmt.Errorf("no %v on PATH or in %s: install Terraform 1.11 or newer, or run `make tools`, which builds OpenTofu", names, toolDir)
}

// pinned is the build of a tool in .tools/bin.
func pinned(name string) (string, bool) {
	root, ok := moduleRoot()
	if !ok {
		return "", false
	}
	path := filepath.Join(root, filepath.FromSlash(toolDir), name)
	st, err := os.Stat(path)
	return path, err == nil && st.Mode().IsRegular()
}

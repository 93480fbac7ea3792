package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
)

// terraform is the CLI in use: Terraform or OpenTofu.
type terraform struct {
	name    string // as it is typed: a name on PATH, or a path
	product string // Terraform or OpenTofu
	version string
}

// builtTofu is where `make tools` puts the OpenTofu that tests use.
const builtTofu = ".tools/bin/tofu"

// oldest minor version of Terraform 1 and of OpenTofu 1 that the provider is for.
const oldestMinor = 11

// findTerraform takes the first of terraform on PATH, tofu on PATH, and the tofu
// that the project builds for its tests.
func findTerraform(ctx context.Context) (terraform, error) {
	var tooOld []string
	for _, name := range []string{"terraform", "tofu", builtTofu} {
		if _, err := exec.LookPath(name); err != nil {
			continue
		}
		version, err := versionOf(ctx, name)
		if err != nil {
			return terraform{}, err
		}
		if recent(version) {
			return terraform{name: name, product: product(name), version: version}, nil
		}
		tooOld = append(tooOld, name+" "+version)
	}
	what := "neither terraform nor tofu is on PATH"
	if len(tooOld) > 0 {
		what = strings.Join(tooOld, " and ") + " is too old"
	}
	return terraform{}, fmt.Errorf("%s: install Terraform 1.%d or newer (https://developer.hashicorp.com/terraform/install) or OpenTofu (https://opentofu.org/docs/intro/install), or build OpenTofu here with `make %s`", what, oldestMinor, builtTofu)
}

func product(name string) string {
	if filepath.Base(name) == "tofu" {
		return "OpenTofu"
	}
	return "Terraform"
}

func versionOf(ctx context.Context, name string) (string, error) {
	cmd := exec.CommandContext(ctx, name, "version", "-json")
	cmd.Env = append(os.Environ(), "CHECKPOINT_DISABLE=1", "TF_CLI_CONFIG_FILE="+os.DevNull)
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%s version: %w", name, err)
	}
	var v struct {
		Version string `json:"terraform_version"`
	}
	if err := json.Unmarshal(out, &v); err != nil {
		return "", fmt.Errorf("%s version -json: %w", name, err)
	}
	return v.Version, nil
}

func recent(version string) bool {
	parts := strings.SplitN(version, ".", 3)
	if len(parts) < 3 {
		return false
	}
	major, err1 := strconv.Atoi(parts[0])
	minor, err2 := strconv.Atoi(parts[1])
	return errors.Join(err1, err2) == nil && (major > 1 || major == 1 && minor >= oldestMinor)
}

// chdir begins every command line.
var chdir = "-chdir=" + terraformFolder

func (t *tour) apply(ctx context.Context) error {
	t.say("%s %s works in %s, on a copy of %s.", t.cli.product, t.cli.version, terraformFolder, exampleFolder)
	if err := t.useMirror(); err != nil {
		return err
	}
	folder, err := filepath.Abs(workspace)
	if err != nil {
		return err
	}
	err = writeVariables(map[string]any{
		"folder": folder, "database": database,
		"database_host": t.server.Host, "database_port": t.server.Port, "database_user": t.server.User,
		"password_variable": passwordVariable,
	})
	if err != nil {
		return err
	}
	if err := t.runSelected(ctx, isMilestone, "init"); err != nil {
		return err
	}
	if err := t.runSelected(ctx, isMilestone, "apply", "-auto-approve"); err != nil {
		return err
	}
	t.say("(all of the output is in %s)", applyLog)
	return t.readOutputs(ctx)
}

// useConfig is how a person would make the CLI take the provider just built.
const useConfig = `TF_CLI_CONFIG_FILE="$PWD/` + terraformConfig + `"`

// useMirror makes the CLI take the provider that was just built.
func (t *tour) useMirror() error {
	config, err := filepath.Abs(terraformConfig)
	if err != nil {
		return err
	}
	t.show("export " + useConfig)
	t.env = append(t.env, "TF_CLI_CONFIG_FILE="+config, "CHECKPOINT_DISABLE=1", "TF_INPUT=0", "TF_IN_AUTOMATION=1", "TF_CLI_ARGS=-no-color")
	return nil
}

// runSelected shows and runs the CLI, and prints the lines that interest; all of
// it goes to a file.
func (t *tour) runSelected(ctx context.Context, interests func(string) bool, args ...string) error {
	args = append([]string{chdir}, args...)
	t.show(commandLine(append([]string{t.cli.name}, args...)...))
	out, err := t.ask(ctx, t.cli.name, args...)
	log, logErr := os.OpenFile(applyLog, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if logErr == nil {
		_, logErr = log.Write(out)
		logErr = errors.Join(logErr, log.Close())
	}
	if err := errors.Join(err, logErr); err != nil {
		return err
	}
	w := t.indented()
	for line := range strings.Lines(string(out)) {
		if interests(line) {
			fmt.Fprint(w, line)
		}
	}
	return nil
}

// isMilestone picks the lines of init and apply that say that something is done.
func isMilestone(line string) bool {
	for _, word := range []string{"- Installed ", "successfully initialized", "Plan: ", ": Creation complete", "Apply complete!"} {
		if strings.Contains(line, word) {
			return true
		}
	}
	return false
}

// readOutputs takes over what was deployed and where, and shows it.
func (t *tour) readOutputs(ctx context.Context) error {
	text, err := t.ask(ctx, t.cli.name, chdir, "output", "-json")
	if err != nil {
		return err
	}
	var outputs struct {
		Repository output `json:"repository"`
		Runner     output `json:"runner"`
		JobFile    output `json:"job_file"`
		DrillFile  output `json:"drill_job_file"`
	}
	if err := json.Unmarshal(text, &outputs); err != nil {
		return fmt.Errorf("read the outputs: %w", err)
	}
	t.repository = outputs.Repository.Value
	if t.installed, err = relative(outputs.Runner.Value); err != nil {
		return fmt.Errorf("output runner: %w", err)
	}
	if t.job, err = relative(outputs.JobFile.Value); err != nil {
		return fmt.Errorf("output job_file: %w", err)
	}
	if t.drill, err = relative(outputs.DrillFile.Value); err != nil {
		return fmt.Errorf("output drill_job_file: %w", err)
	}
	units, err := filepath.Glob(systemdFolder + "/*")
	if err != nil || len(units) != 4 {
		return errors.Join(fmt.Errorf("%s should hold two services and two timers, it holds: %s", systemdFolder, strings.Join(units, ", ")), err)
	}
	fmt.Fprintln(t.out)
	t.say("These files were made; on a real host they are in /usr/local/bin and /etc:")
	for _, path := range append([]string{t.installed, t.job, t.drill}, units...) {
		if _, err := os.Stat(path); err != nil {
			return fmt.Errorf("deployed file: %w", err)
		}
		t.say("  %s", path)
	}
	state, err := filepath.Glob(terraformFolder + "/terraform.tf*")
	if err != nil {
		return err
	}
	return t.showNoSecret(append(append(units, t.job, t.drill, applyLog), state...))
}

// showNoSecret holds that neither the password nor the key got into a file.
func (t *tour) showNoSecret(files []string) error {
	key, err := os.ReadFile(keyFile)
	if err != nil {
		return err
	}
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		if bytes.Contains(text, bytes.TrimSpace(key)) || bytes.Contains(text, []byte(t.server.Password)) {
			return fmt.Errorf("%s holds a secret", name)
		}
	}
	t.say("Neither the password nor the key is in them, nor in Terraform's state.")
	return nil
}

// output is one of `terraform output -json`.
type output struct {
	Value string `json:"value"`
}

func (t *tour) planNothing(ctx context.Context) error {
	t.say("Backups were taken, but nothing that was declared is different.")
	return t.plan(ctx, 0)
}

func (t *tour) planRetention(ctx context.Context) error {
	return t.plan(ctx, 2, "-var", "keep_daily=14")
}

// plan shows and runs a plan. want is 0 for one without changes, 2 for one with.
func (t *tour) plan(ctx context.Context, want int, args ...string) error {
	args = append([]string{chdir, "plan", "-detailed-exitcode"}, args...)
	t.show(commandLine(append([]string{t.cli.name}, args...)...))
	cmd := t.command(ctx, t.cli.name, args...)
	w := t.indented()
	cmd.Stdout, cmd.Stderr = w, w
	err := cmd.Run()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		return err
	}
	if got := cmd.ProcessState.ExitCode(); got != want {
		return fmt.Errorf("%s plan: exit code %d instead of %d", t.cli.name, got, want)
	}
	return nil
}

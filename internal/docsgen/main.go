// Command docsgen renders docs/ from templates/, examples/ and the schemas of the
// provider that was just built, without a network: `make generate` runs it in the
// root of the project.
//
// What lives here: getting the schemas out of the provider with whichever CLI is
// there, and handing them to tfplugindocs. What must not: texts; those are in
// templates/, examples/ and the schemas themselves.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
)

const (
	// address of the provider, written out so that both CLIs mean the same.
	address = "registry.terraform.io/pgbackup/pgbackup"
	// shortName is how tfplugindocs looks for the schemas of a provider.
	shortName = "pgbackup"
	// rendered is how pages call the provider.
	rendered = "pgbackup"
)

func main() {
	provider := flag.String("provider", "bin/terraform-provider-pgbackup", "the provider to document")
	generator := flag.String("tfplugindocs", ".tools/bin/tfplugindocs", "the program tfplugindocs")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, *provider, *generator)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "docsgen:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, provider, generator string) (err error) {
	dir, err := os.MkdirTemp("", "docsgen")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	cli, err := findCLI()
	if err != nil {
		return err
	}
	exported, err := export(ctx, cli, provider, dir)
	if err != nil {
		return err
	}
	schemas, err := rename(exported)
	if err != nil {
		return err
	}
	file := filepath.Join(dir, "schemas.json")
	if err := os.WriteFile(file, schemas, 0o600); err != nil {
		return err
	}
	// Only what it manages is replaced: docs/adr is not.
	cmd := exec.CommandContext(ctx, generator, "generate", "--providers-schema", file,
		"--provider-name", "terraform-provider-"+shortName, "--rendered-provider-name", rendered)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s generate: %w\n%s", generator, err, out)
	}
	return nil
}

// findCLI takes Terraform or OpenTofu from PATH, or the OpenTofu that `make tools`
// builds. The schemas are the provider's own, so it does not matter which.
func findCLI() (string, error) {
	for _, name := range []string{"terraform", "tofu", ".tools/bin/tofu"} {
		if path, err := exec.LookPath(name); err == nil {
			return filepath.Abs(path)
		}
	}
	return "", errors.New("neither terraform nor tofu is on PATH or in .tools/bin: install one of them, or run `make tools`")
}

// export asks a CLI for the schemas of the provider, which a development override
// makes it take from where it was built.
func export(ctx context.Context, cli, provider, dir string) ([]byte, error) {
	folder, err := filepath.Abs(filepath.Dir(provider))
	if err != nil {
		return nil, err
	}
	config := filepath.Join(dir, "cli.tfrc")
	for name, text := range map[string]string{
		config:                        fmt.Sprintf("provider_installation {\n  dev_overrides {\n    %q = %q\n  }\n}\n", address, folder),
		filepath.Join(dir, "main.tf"): fmt.Sprintf("terraform {\n  required_providers {\n    %s = {\n      source = %q\n    }\n  }\n}\n", shortName, address),
	} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			return nil, err
		}
	}
	cmd := exec.CommandContext(ctx, cli, "providers", "schema", "-json")
	cmd.Dir = dir
	for _, e := range os.Environ() {
		if !strings.HasPrefix(e, "TF_") { // nothing of the user's own settings
			cmd.Env = append(cmd.Env, e)
		}
	}
	cmd.Env = append(cmd.Env, "TF_CLI_CONFIG_FILE="+config, "CHECKPOINT_DISABLE=1")
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("%s providers schema: %w\n%s", cli, err, words(err))
	}
	return out, nil
}

// words are what a program that failed wrote to its standard error.
func words(err error) string {
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		return strings.TrimSpace(string(exit.Stderr))
	}
	return ""
}

// rename puts the schemas under the name tfplugindocs looks for.
func rename(exported []byte) ([]byte, error) {
	var document struct {
		FormatVersion string                     `json:"format_version"`
		Schemas       map[string]json.RawMessage `json:"provider_schemas"`
	}
	if err := json.Unmarshal(exported, &document); err != nil {
		return nil, fmt.Errorf("read the schemas: %w", err)
	}
	schema, ok := document.Schemas[address]
	if !ok {
		return nil, fmt.Errorf("the schemas of %s are not among what the CLI wrote", address)
	}
	document.Schemas = map[string]json.RawMessage{shortName: schema}
	return json.Marshal(document)
}

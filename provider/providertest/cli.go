package providertest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin"
	"github.com/hashicorp/terraform-plugin-framework/providerserver"
	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
	"github.com/hashicorp/terraform-plugin-go/tfprotov6/tf6server"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/testenv"
	"github.com/pgbackup/terraform-provider-pgbackup/provider"
)

// registries are where the two CLIs look for a provider whose source names none.
var registries = []string{"registry.terraform.io", "registry.opentofu.org"}

const providerPath = "/pgbackup/pgbackup"

// Workspace is a folder in which a real CLI works with the provider in this
// process. It shows what the test framework does not: warnings, saved plans as
// JSON, and plans whose apply comes later.
type Workspace struct {
	t   *testing.T
	cli string
	dir string
	env []string

	beside []Beside
}

// Beside is another provider that a test serves in the same process, to stand for
// one that users have beside ours.
type Beside struct {
	Name   string // its source is test/<name>; "" is our own in another form, see AsAWS
	Server func() tfprotov6.ProviderServer
}

// Diagnostic is an error or a warning as the CLI gives it to programs.
type Diagnostic struct {
	Severity string `json:"severity"`
	Summary  string `json:"summary"`
	Detail   string `json:"detail"`
}

// Result is what a command came to.
type Result struct {
	Failed      bool
	Diagnostics []Diagnostic
	Output      string // everything that was printed
}

// NewWorkspace makes a workspace with a configuration.
func NewWorkspace(t *testing.T, config string, beside ...Beside) *Workspace {
	t.Helper()
	w := &Workspace{t: t, cli: testenv.Terraform(t), dir: t.TempDir(), beside: beside}
	for _, e := range os.Environ() {
		if !strings.HasPrefix(e, "TF_") {
			w.env = append(w.env, e)
		}
	}
	w.env = append(w.env, "TF_REATTACH_PROVIDERS="+serveAll(t, beside), "CHECKPOINT_DISABLE=1", "TF_IN_AUTOMATION=1", "TF_INPUT=0")
	w.Configure(config)
	return w
}

// Configure replaces the configuration.
func (w *Workspace) Configure(config string) {
	w.t.Helper()
	head := "terraform {\n  required_providers {\n    pgbackup = {\n      source = \"pgbackup/pgbackup\"\n    }\n"
	for _, b := range w.beside {
		if b.Name == "" {
			continue // our own, which is there already
		}
		head += fmt.Sprintf("    %s = {\n      source = \"test/%s\"\n    }\n", b.Name, b.Name)
	}
	head += "  }\n}\n"
	if err := os.WriteFile(filepath.Join(w.dir, "main.tf"), []byte(head+config), 0o600); err != nil {
		w.t.Fatal(err)
	}
}

// Plan makes a plan and saves it.
func (w *Workspace) Plan(args ...string) Result {
	w.t.Helper()
	return w.json(append([]string{"plan", "-json", "-out=saved.tfplan"}, args...)...)
}

// PlanText is what a person reads of a plan, which may fail.
func (w *Workspace) PlanText(args ...string) string {
	w.t.Helper()
	out, _ := w.run(append([]string{"plan", "-no-color"}, args...)...)
	return out
}

// ApplySaved applies the plan that was saved last.
func (w *Workspace) ApplySaved(args ...string) Result {
	w.t.Helper()
	return w.json(append(append([]string{"apply", "-json"}, args...), "saved.tfplan")...)
}

// Apply plans and applies at once.
func (w *Workspace) Apply(args ...string) Result {
	w.t.Helper()
	return w.json(append([]string{"apply", "-json", "-auto-approve"}, args...)...)
}

// MustApply is Apply that has to succeed.
func (w *Workspace) MustApply(args ...string) Result {
	w.t.Helper()
	r := w.Apply(args...)
	if r.Failed {
		w.t.Fatalf("apply failed:\n%s", r)
	}
	return r
}

// Command runs a command without JSON of its own, such as taint.
func (w *Workspace) Command(args ...string) {
	w.t.Helper()
	if out, err := w.run(args...); err != nil {
		w.t.Fatalf("%s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// Planned is a resource of the saved plan as review tools see it.
type Planned struct {
	Actions []string       // such as update, or delete and create
	Before  map[string]any // nil for none
	After   map[string]any
	Unknown map[string]any // attributes that are known after apply
}

// Show gives a resource of the saved plan; Actions is empty when it is not in it.
func (w *Workspace) Show(address string) Planned {
	w.t.Helper()
	var plan struct {
		Changes []struct {
			Address string `json:"address"`
			Change  struct {
				Actions []string `json:"actions"`
				Before  any      `json:"before"`
				After   any      `json:"after"`
				Unknown any      `json:"after_unknown"`
			} `json:"change"`
		} `json:"resource_changes"`
	}
	w.read(&plan, "show", "-json", "saved.tfplan")
	for _, c := range plan.Changes {
		if c.Address == address {
			before, _ := c.Change.Before.(map[string]any)
			after, _ := c.Change.After.(map[string]any)
			unknown, _ := c.Change.Unknown.(map[string]any)
			return Planned{Actions: c.Change.Actions, Before: before, After: after, Unknown: unknown}
		}
	}
	return Planned{}
}

// State gives the attributes of a resource in the state, nil when it is not there.
func (w *Workspace) State(address string) map[string]any {
	w.t.Helper()
	var state struct {
		Values struct {
			Root struct {
				Resources []struct {
					Address string         `json:"address"`
					Values  map[string]any `json:"values"`
				} `json:"resources"`
			} `json:"root_module"`
		} `json:"values"`
	}
	w.read(&state, "show", "-json")
	for _, r := range state.Values.Root.Resources {
		if r.Address == address {
			return r.Values
		}
	}
	return nil
}

// EditState changes the attributes of a resource in the state file, as another
// version of the provider would have written them.
func (w *Workspace) EditState(address string, edit func(attributes map[string]any)) {
	w.t.Helper()
	file := filepath.Join(w.dir, "terraform.tfstate")
	data, err := os.ReadFile(file)
	if err != nil {
		w.t.Fatal(err)
	}
	var state map[string]any
	if err := json.Unmarshal(data, &state); err != nil {
		w.t.Fatal(err)
	}
	resources, _ := state["resources"].([]any)
	for _, r := range resources {
		r, _ := r.(map[string]any)
		if instances, _ := r["instances"].([]any); fmt.Sprint(r["type"], ".", r["name"]) == address && len(instances) == 1 {
			instance, _ := instances[0].(map[string]any)
			attributes, _ := instance["attributes"].(map[string]any)
			edit(attributes)
		}
	}
	if data, err = json.Marshal(state); err == nil {
		err = os.WriteFile(file, data, 0o600)
	}
	if err != nil {
		w.t.Fatal(err)
	}
}

// Warnings gives the summaries of the warnings.
func (r Result) Warnings() []string { return r.summaries("warning") }

// Errors gives the summaries of the errors.
func (r Result) Errors() []string { return r.summaries("error") }

func (r Result) summaries(severity string) (all []string) {
	for _, d := range r.Diagnostics {
		if d.Severity == severity {
			all = append(all, d.Summary)
		}
	}
	return all
}

// String is every diagnostic, or everything printed when there is none.
func (r Result) String() string {
	if len(r.Diagnostics) == 0 {
		return r.Output
	}
	var b strings.Builder
	for _, d := range r.Diagnostics {
		fmt.Fprintf(&b, "%s: %s\n%s\n\n", d.Severity, d.Summary, d.Detail)
	}
	return b.String()
}

// json runs a command that prints one JSON document a line.
func (w *Workspace) json(args ...string) Result {
	w.t.Helper()
	out, err := w.run(args...)
	r := Result{Failed: err != nil, Output: out}
	for line := range strings.SplitSeq(out, "\n") {
		var message struct {
			Type       string     `json:"type"`
			Diagnostic Diagnostic `json:"diagnostic"`
		}
		if json.Unmarshal([]byte(line), &message) == nil && message.Type == "diagnostic" {
			r.Diagnostics = append(r.Diagnostics, message.Diagnostic)
		}
	}
	return r
}

func (w *Workspace) read(into any, args ...string) {
	w.t.Helper()
	out, err := w.run(args...)
	if err == nil {
		err = json.Unmarshal([]byte(out), into)
	}
	if err != nil {
		w.t.Fatalf("%s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

func (w *Workspace) run(args ...string) (string, error) {
	var out bytes.Buffer
	cmd := exec.CommandContext(w.t.Context(), w.cli, args...)
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = w.dir, w.env, &out, &out
	err := cmd.Run()
	return out.String(), err
}

// Dir is the folder of the workspace, where state and saved plans are.
func (w *Workspace) Dir() string { return w.dir }

// serveAll serves the provider, and others beside it, until the test ends and
// returns the words by which a CLI finds them.
func serveAll(t *testing.T, beside []Beside) string {
	t.Helper()
	found := map[string]any{}
	own := func() tfprotov6.ProviderServer { return providerserver.NewProtocol6(provider.New("test")())() }
	all := append([]Beside{{Server: own}}, beside...)
	if len(beside) > 0 && beside[0].Name == "" {
		all = beside // with our own in another form
	}
	for _, p := range all {
		path := providerPath
		if p.Name != "" {
			path = "/test/" + p.Name
		}
		at := serve(t, registries[0]+path, p.Server)
		for _, registry := range registries {
			found[registry+path] = at
		}
	}
	words, err := json.Marshal(found)
	if err != nil {
		t.Fatal(err)
	}
	return string(words)
}

func serve(t *testing.T, name string, server func() tfprotov6.ProviderServer) map[string]any {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	ready, done, failed := make(chan *plugin.ReattachConfig), make(chan struct{}), make(chan error, 1)
	go func() {
		failed <- tf6server.Serve(name, server, tf6server.WithDebug(ctx, ready, done), tf6server.WithoutLogStderrOverride(), tf6server.WithLoggingSink(t),
			tf6server.WithGoPluginLogger(hclog.New(&hclog.LoggerOptions{Output: io.Discard})))
	}()
	t.Cleanup(func() {
		stop()
		<-done
	})
	var at *plugin.ReattachConfig
	select {
	case at = <-ready:
	case err := <-failed:
		t.Fatalf("serve %s: %v", name, err)
	}
	address := map[string]any{"Network": at.Addr.Network(), "String": at.Addr.String()}
	return map[string]any{"Protocol": at.Protocol, "ProtocolVersion": at.ProtocolVersion, "Pid": at.Pid, "Test": true, "Addr": address}
}

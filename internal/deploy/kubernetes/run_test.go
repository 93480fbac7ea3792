package kubernetes_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/deploy/kubernetes"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/deploy/shelltest"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/job"
)

// stand-in for the runner: it tells how it was called, and ends with warnings.
const program = "#!/bin/sh\necho \"ran $* as $PGPASSWORD with $PGBACKUP_RUNNER_SHA256\"\ncat \"$3\"\nexit 3\n"

// runPod runs the containers of a manifest one after the other as kubelet does,
// with the folders of the pod below a folder of the test. It ends with the first
// container that fails.
func runPod(t *testing.T, r shelltest.Repository, manifest string) (container string, code int, output string) {
	t.Helper()
	o := read(t, manifest)
	root := t.TempDir()
	folders := strings.NewReplacer("/pgbackup/", root+"/pgbackup/", "/etc/pgbackup-job/", root+"/etc/pgbackup-job/")
	for _, dir := range []string{"pgbackup", "etc/pgbackup-job"} {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for name, text := range o.file.Data {
		if err := os.WriteFile(filepath.Join(root, "etc/pgbackup-job", name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	secrets := map[string]string{"postgres-credentials/password": "geheim"}
	pod := o.job.Spec.JobTemplate.Spec.Template.Spec
	for _, c := range append(pod.InitContainers, pod.Containers...) {
		var argv []string
		for _, word := range append(c.Command, c.Args...) {
			argv = append(argv, folders.Replace(word))
		}
		code, output = r.Run(t, shelltest.Command{Argv: argv, Env: environment(t, c, secrets)})
		if container = c.Name; code != 0 {
			return container, code, output
		}
	}
	return container, code, output
}

func environment(t *testing.T, c corev1.Container, secrets map[string]string) []string {
	t.Helper()
	var env []string
	for _, e := range c.Env {
		value := e.Value
		if e.ValueFrom != nil {
			key := e.ValueFrom.SecretKeyRef.Name + "/" + e.ValueFrom.SecretKeyRef.Key
			secret, ok := secrets[key]
			if !ok {
				t.Fatalf("no secret %s", key)
			}
			value = secret
		}
		if e.Name != "HOME" {
			env = append(env, e.Name+"="+value)
		}
	}
	return env
}

func TestAPodFetchesTheRunnerChecksItAndRunsTheJob(t *testing.T) {
	t.Parallel()
	r := shelltest.New(t, []byte(program))
	spec := nightly()
	spec.Runner, spec.Job.Repository = r.Runner, r.Runner.Repository.String()
	rendered, err := kubernetes.Render(spec)
	if err != nil {
		t.Fatal(err)
	}
	container, code, out := runPod(t, r, rendered.Manifest)
	if container != "pgbackup" || code != 0 {
		t.Fatalf("container %s ended with %d; warnings are no failure:\n%s", container, code, out)
	}
	first, file, _ := strings.Cut(out, "\n")
	if !strings.HasPrefix(first, "ran backup --job /") || !strings.HasSuffix(first, "as geheim with "+r.Runner.SHA256["x86_64"]) {
		t.Errorf("the runner says: %s", first)
	}
	if j, err := job.Parse([]byte(file)); err != nil || j.Digest() != spec.Job.Digest() {
		t.Errorf("the runner reads another job: %v\n%s", err, file)
	}

	r.Put(t, []byte("#!/bin/sh\necho evil\n"))
	container, code, out = runPod(t, r, rendered.Manifest)
	if container != "fetch" || code != 2 || !strings.Contains(out, "is not the runner that was deployed") || strings.Contains(out, "evil") {
		t.Errorf("a runner that was tampered with: container %s ended with %d:\n%s", container, code, out)
	}
}

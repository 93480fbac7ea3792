package hook_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/restore/hook"
)

// fakeKubectl keeps a deployment's replicas and annotation in files, and the commands it
// got in another.
const fakeKubectl = `#!/bin/sh
set -eu
echo "$*" >> "$STATE/commands"
[ "$1 $2" = "--namespace shop" ] || exit 64
shift 2
case "$*" in
  "get deployment web --output jsonpath={.spec.replicas}") cat "$STATE/replicas" ;;
  "get deployment web --output jsonpath={.metadata.annotations.pgbackup-replicas}") cat "$STATE/annotation" 2>/dev/null || true ;;
  "annotate deployment web --overwrite pgbackup-replicas="*) printf %s "${5#*=}" > "$STATE/annotation" ;;
  "annotate deployment web pgbackup-replicas-") rm -f "$STATE/annotation" ;;
  "scale deployment web --replicas "*) printf %s "$5" > "$STATE/replicas" ;;
  "wait pod --selector app=web --for delete "*|"rollout status deployment web "*) ;;
  "patch configmap web-settings --type merge --patch "*) printf %s "$7" > "$STATE/configmap" ;;
  *) echo "unknown: $*" >&2; exit 64 ;;
esac
`

func TestTheExampleScalesADeploymentDownAndUpAgain(t *testing.T) {
	t.Parallel()
	state := t.TempDir()
	put := func(name, text string, mode os.FileMode) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(state, name), []byte(text), mode); err != nil {
			t.Fatal(err)
		}
	}
	want := func(name, text string) {
		t.Helper()
		got, _ := os.ReadFile(filepath.Join(state, name))
		if string(got) != text {
			t.Errorf("%s is %q, want %q", name, got, text)
		}
	}
	put("kubectl", fakeKubectl, 0o755)
	put("replicas", "3", 0o600)
	example := func(name string) {
		t.Helper()
		script, err := filepath.Abs(filepath.Join("..", "..", "..", "examples", "restore-hooks", name))
		if err != nil {
			t.Fatal(err)
		}
		log, err := run(t, t.Context(), hook.Hook{Command: script, Env: map[string]string{
			"PATH": state + ":" + os.Getenv("PATH"), "STATE": state, "NAMESPACE": "shop", "DEPLOYMENT": "web", "CONFIGMAP": "web-settings",
			"PGBACKUP_POINT_TIME": "2026-03-01T02:00:00Z", "PGBACKUP_DATABASE": "app", "PGBACKUP_OUTCOME": "done",
		}})
		if err != nil {
			t.Fatalf("%v\n%s", err, log)
		}
		if name == "scale-up.sh" && !strings.Contains(log, "3 replicas of web serve again") {
			t.Error(log)
		}
	}
	example("scale-down.sh")
	want("replicas", "0")
	want("annotation", "3")
	want("configmap", `{"data":{"MAINTENANCE":"The database is being restored to 2026-03-01T02:00:00Z."}}`)
	example("scale-down.sh") // of a second try, after the first was killed
	want("annotation", "3")
	example("scale-up.sh")
	want("replicas", "3")
	want("annotation", "")
	want("configmap", `{"data":{"MAINTENANCE":null}}`)
}

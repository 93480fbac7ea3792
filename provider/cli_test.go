package provider_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/seal"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/testenv"
)

// built is a folder with the provider as a program and the CLI configuration
// that makes a CLI use it.
func built(t *testing.T) (config string) {
	t.Helper()
	dir := t.TempDir()
	cmd := exec.Command("go", "build", "-o", filepath.Join(dir, "terraform-provider-pgbackup"), "..")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build the provider: %v\n%s", err, out)
	}
	config = filepath.Join(dir, "cli.tfrc")
	text := "provider_installation {\n  dev_overrides {\n"
	for _, registry := range []string{"registry.terraform.io", "registry.opentofu.org"} {
		text += fmt.Sprintf("    %q = %q\n", registry+"/pgbackup/pgbackup", dir)
	}
	if err := os.WriteFile(config, []byte(text+"  }\n}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return config
}

// run runs the CLI in a folder and returns everything it prints.
func run(t *testing.T, cli, config, dir string, args ...string) (string, error) {
	t.Helper()
	cmd := exec.Command(cli, append(args, "-no-color")...)
	cmd.Dir = dir
	for _, e := range os.Environ() {
		if !strings.HasPrefix(e, "TF_") {
			cmd.Env = append(cmd.Env, e)
		}
	}
	cmd.Env = append(cmd.Env, "TF_CLI_CONFIG_FILE="+config, "CHECKPOINT_DISABLE=1", "TF_DATA_DIR="+t.TempDir())
	out, err := cmd.CombinedOutput()
	return string(out), err
}

const required = "terraform {\n  required_providers {\n    pgbackup = {\n      source = \"pgbackup/pgbackup\"\n    }\n  }\n}\n"

func TestTheExamplesAreValidConfigurations(t *testing.T) {
	cli := testenv.Terraform(t)
	config := built(t)
	examples, err := filepath.Glob("../examples/resources/*/resource.tf")
	if err != nil || len(examples) != 8 {
		t.Fatalf("%v, %v", examples, err)
	}
	for others, n := range map[string]int{"../examples/data-sources/*/data-source.tf": 7, "../examples/functions/*/function.tf": 2, "../examples/ephemeral-resources/*/ephemeral-resource.tf": 1} {
		found, err := filepath.Glob(others)
		if err != nil || len(found) != n {
			t.Fatalf("%s: %v, %v", others, found, err)
		}
		examples = append(examples, found...)
	}
	if out, err := run(t, cli, config, "../examples", "fmt", "-check", "-recursive", "-diff"); err != nil {
		t.Errorf("not formatted:\n%s", out)
	}
	var wait sync.WaitGroup
	for _, example := range append(examples, "../examples/provider/provider.tf") {
		text, err := os.ReadFile(example)
		if err != nil {
			t.Fatal(err)
		}
		head := required
		if strings.Contains(string(text), "required_providers") {
			head = ""
		}
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "main.tf"), []byte(head+complete(string(text))), 0o600); err != nil {
			t.Fatal(err)
		}
		wait.Go(func() {
			if out, err := run(t, cli, config, dir, "validate"); err != nil {
				t.Errorf("%s: %v\n%s", example, err, out)
			}
			// Importing what is documented uses resources that are declared.
			script, err := os.ReadFile(filepath.Join(filepath.Dir(example), "import.sh"))
			if strings.HasPrefix(example, "../examples/resources") && err != nil {
				t.Error(err)
			}
			for line := range strings.SplitSeq(string(script), "\n") {
				words := strings.Fields(line)
				if len(words) < 4 || words[0] != "terraform" {
					continue
				}
				kind, name, _ := strings.Cut(words[2], ".")
				if !strings.Contains(string(text), fmt.Sprintf("resource %q %q", kind, name)) {
					t.Errorf("%s imports %s, which is not declared beside it", filepath.Dir(example), words[2])
				}
			}
		})
	}
	wait.Wait()
}

// beside is what examples take for granted, by the reference to it.
var beside = map[string]string{
	"pgbackup_repository.main":  "resource \"pgbackup_repository\" \"main\" {\n s3 = {\n bucket = \"acme-pg-backups\"\n prefix = \"prod\"\n replica = {\n bucket = \"acme-pg-backups-dr\"\n region = \"eu-west-1\"\n }\n }\n}\n",
	"pgbackup_policy.prod":      "resource \"pgbackup_policy\" \"prod\" {\n name = \"prod\"\n repository = \"s3://acme-pg-backups/prod\"\n retention = { keep_daily = 30 }\n}\n",
	"pgbackup_schedule.nightly": "resource \"pgbackup_schedule\" \"nightly\" {\n name = \"nightly\"\n policy = \"s3://acme-pg-backups/prod#prod\"\n runner = \"host:/usr/local/bin/pgbackup-runner#x86_64:" + strings.Repeat("0a", 32) + "\"\n cron = \"0 2 * * *\"\n job = { rotate = {} }\n run_on = { host = { directory = \"/etc/pgbackup\" } }\n}\n",
	"pgbackup_alarm.prod":       "resource \"pgbackup_alarm\" \"prod\" {\n policy = \"s3://acme-pg-backups/prod#prod\"\n}\n",
	"var.release":               "variable \"release\" {}\n",
	"var.migration":             "variable \"migration\" {}\n",
}

var (
	awsBlock     = regexp.MustCompile(`(?ms)^resource "aws_.*?^}\n`)
	awsDepends   = regexp.MustCompile(`(?m)^ *depends_on *= *\[aws_.*\]\n`)
	awsInText    = regexp.MustCompile(`\$\{aws_[a-z_.]+\}`)
	awsReference = regexp.MustCompile(`\baws_[a-z_]+\.[a-z_]+\.([a-z_]+)`)
)

// complete makes an example a configuration of its own: what it takes for granted
// is put beside it. What is of the AWS provider, which is not here, is taken out,
// and a value stands for each reference to it.
func complete(text string) string {
	const arn = "arn:aws:kms:eu-west-1:111122223333:key/11111111-2222-3333-4444-555555555555"
	text = awsDepends.ReplaceAllString(awsBlock.ReplaceAllString(text, ""), "")
	text = awsInText.ReplaceAllString(text, arn)
	text = awsReference.ReplaceAllStringFunc(text, func(reference string) string {
		if strings.HasSuffix(reference, ".identifier") {
			return `"acme-prod"`
		}
		return `"` + arn + `"`
	})
	for reference, block := range beside {
		kind, name, _ := strings.Cut(reference, ".")
		if strings.Contains(text, reference) && !strings.Contains(text, fmt.Sprintf("resource %q %q", kind, name)) {
			text += block
		}
	}
	return text
}

// Terraform prints the line of the configuration that an error is tied to, and
// that line may hold the secret that should not have been written there.
func TestASecretWrittenInsteadOfItsReferenceIsNotPrinted(t *testing.T) {
	cli := testenv.Terraform(t)
	config := built(t)
	key := seal.NewKey().Encode()
	for name, text := range map[string]string{
		"key of a repository": "resource \"pgbackup_repository\" \"main\" {\n  directory = { path = \"/x\" }\n  encryption = {\n    key_ref = %q\n  }\n}\n",
		"key of a schedule":   "resource \"pgbackup_schedule\" \"main\" {\n  name = \"a\"\n  policy = \"file:///x#a\"\n  cron = \"@daily\"\n  key_ref = %q\n  job = { rotate = {} }\n  run_on = { host = { directory = \"/x\", runner_path = \"/x/r\" } }\n}\n",
		"password of a drill": "resource \"pgbackup_restore_drill\" \"main\" {\n  name = \"a\"\n  policy = \"file:///x#a\"\n  cron = \"@daily\"\n  into = {\n    scratch_cluster = {}\n    database = {\n      server = {\n        password_ref = %q\n      }\n    }\n  }\n  run_on = { host = { directory = \"/x\", runner_path = \"/x/r\" } }\n}\n",
		"password":            "resource \"pgbackup_schedule\" \"main\" {\n  name = \"a\"\n  policy = \"file:///x#a\"\n  cron = \"@daily\"\n  job = {\n    logical = {\n      server = {\n        password_ref = %q\n      }\n    }\n  }\n  run_on = { host = { directory = \"/x\", runner_path = \"/x/r\" } }\n}\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, "main.tf"), []byte(required+fmt.Sprintf(text, key)), 0o600); err != nil {
				t.Fatal(err)
			}
			for _, args := range [][]string{{"validate"}, {"plan"}} {
				out, err := run(t, cli, config, dir, args...)
				if err == nil || !strings.Contains(out, "Invalid reference to a secret") {
					t.Errorf("%v: %v\n%s", args, err, out)
				}
				if strings.Contains(out, key[:20]) {
					t.Errorf("%v prints the secret:\n%s", args, out)
				}
			}
		})
	}
}

package main

import (
	"bytes"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/exitcode"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/seal"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/testenv"
)

// S5
func TestAKeyInSecretsManagerGivesWayToOneOfKMS(t *testing.T) {
	t.Parallel()
	cfg := testenv.AWS(t).Config()
	first := seal.NewKey()
	if _, err := secretsmanager.NewFromConfig(cfg).CreateSecret(t.Context(), &secretsmanager.CreateSecretInput{
		Name: aws.String("acme/backup"), SecretString: aws.String(`{"key":"` + first.Encode() + `"}`)}); err != nil {
		t.Fatal(err)
	}
	key, err := kms.NewFromConfig(cfg).CreateKey(t.Context(), &kms.CreateKeyInput{})
	if err != nil {
		t.Fatal(err)
	}
	repository := "file://" + filepath.Join(t.TempDir(), "repo")
	from, to := "secretsmanager:acme/backup#key", "kms:"+*key.KeyMetadata.Arn
	invoke := func(want exitcode.Code, says string, args ...string) {
		t.Helper()
		var out, log bytes.Buffer
		a := newApp(streams{in: strings.NewReader(""), out: &out, err: &log})
		a.awsOptions = []func(*config.LoadOptions) error{
			config.WithBaseEndpoint(*cfg.BaseEndpoint), config.WithCredentialsProvider(cfg.Credentials), config.WithRegion(cfg.Region),
		}
		got := a.run(t.Context(), append(args, "--repository", repository))
		if all := out.String() + log.String(); got != want || !strings.Contains(all, says) || strings.Contains(all, first.Encode()) {
			t.Fatalf("%v: exit code %d, want %d and %q:\n%s", args, got, want, says, all)
		}
	}
	invoke(exitcode.Done, "encrypted with the key at "+from, "init", "--key", from)
	invoke(exitcode.Done, first.Fingerprint(), "key", "list")
	invoke(exitcode.Done, "too.", "key", "rotate", "--to", to)
	invoke(exitcode.Done, "does not open it any more", "key", "rotate", "--from", from, "--to", to, "--retire")
	invoke(exitcode.Done, *key.KeyMetadata.Arn, "key", "list")
	invoke(exitcode.Usage, "wrong key", "key", "rotate", "--from", from, "--to", from)
	invoke(exitcode.Done, "nothing left to do", "key", "rotate", "--from", from, "--to", to, "--retire")
}

package secret

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	ssmtypes "github.com/aws/aws-sdk-go-v2/service/ssm/types"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/awsapi"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/seal"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/testenv"
)

// access is a way to a server that answers for AWS; the regions asked for are noted.
type access struct {
	cfg     aws.Config
	regions []string
}

func (a *access) source(log io.Writer) Source {
	return Source{Log: slog.New(slog.NewTextHandler(log, nil)), AWS: func(_ context.Context, region string) (aws.Config, error) {
		a.regions = append(a.regions, region)
		cfg := a.cfg.Copy()
		if region != "" {
			cfg.Region = region
		}
		return cfg, nil
	}}
}

func emulator(t *testing.T) *access {
	t.Helper()
	return &access{cfg: testenv.AWS(t).Config()}
}

func in(cfg aws.Config, region string) aws.Config {
	cfg.Region = region
	return cfg
}

func TestSecretsComeFromSecretsManagerByNameArnAndField(t *testing.T) {
	t.Parallel()
	a := emulator(t)
	put := func(region, name, text string, binary []byte) string {
		t.Helper()
		in := &secretsmanager.CreateSecretInput{Name: &name, SecretBinary: binary}
		if text != "" {
			in.SecretString = &text
		}
		out, err := secretsmanager.NewFromConfig(a.cfg, func(o *secretsmanager.Options) { o.Region = region }).CreateSecret(t.Context(), in)
		if err != nil {
			t.Fatal(err)
		}
		return *out.ARN
	}
	put("us-east-1", "acme/backup-key", "hunter2", nil)
	put("us-east-1", "acme/db", `{"username":"backup","password":"pa\"ss"}`, nil)
	put("us-east-1", "acme/binary", "", []byte("raw\x00bytes"))
	far := put("eu-west-1", "acme/far", "hunter3", nil)
	s := a.source(io.Discard)
	for _, c := range []struct{ ref, want string }{
		{"secretsmanager:acme/backup-key", "hunter2"},
		{"secretsmanager:acme/db#password", `pa"ss`},
		{"secretsmanager:acme/binary", "raw\x00bytes"},
		{"secretsmanager:" + far, "hunter3"},
	} {
		got, err := s.Resolve(t.Context(), parse(t, c.ref))
		if err != nil || string(got) != c.want {
			t.Errorf("%s: got %q, %v; want %q", c.ref, got, err, c.want)
		}
	}
	if last := a.regions[len(a.regions)-1]; last != "eu-west-1" {
		t.Errorf("an ARN's region was not used: %q", a.regions)
	}
	_, err := s.Resolve(t.Context(), parse(t, "secretsmanager:acme/nothing"))
	if !errors.Is(err, ErrMissing) || !strings.Contains(err.Error(), "secretsmanager:acme/nothing") || !strings.Contains(err.Error(), "us-east-1") {
		t.Errorf("what is not there: %v", err)
	}
	if _, err := secretsmanager.NewFromConfig(a.cfg).DeleteSecret(t.Context(), &secretsmanager.DeleteSecretInput{SecretId: aws.String("acme/backup-key")}); err != nil {
		t.Fatal(err)
	}
	if _, err = s.Resolve(t.Context(), parse(t, "secretsmanager:acme/backup-key")); !errors.Is(err, ErrMissing) || !strings.Contains(err.Error(), "restore-secret") {
		t.Errorf("what is about to be deleted: %v", err)
	}
}

func TestSecretsComeFromSystemsManagerDecrypted(t *testing.T) {
	t.Parallel()
	a := emulator(t)
	client := ssm.NewFromConfig(a.cfg)
	for name, kind := range map[string]ssmtypes.ParameterType{"/acme/key": ssmtypes.ParameterTypeSecureString, "plain": ssmtypes.ParameterTypeString} {
		if _, err := client.PutParameter(t.Context(), &ssm.PutParameterInput{Name: &name, Type: kind, Value: aws.String("hunter2")}); err != nil {
			t.Fatal(err)
		}
	}
	var log bytes.Buffer
	s := a.source(&log)
	if got, err := s.Resolve(t.Context(), parse(t, "ssm:/acme/key")); err != nil || string(got) != "hunter2" || log.Len() > 0 {
		t.Errorf("%q, %v, %s", got, err, &log)
	}
	if got, err := s.Resolve(t.Context(), parse(t, "ssm:plain")); err != nil || string(got) != "hunter2" || !strings.Contains(log.String(), "SecureString") || strings.Contains(log.String(), "hunter2") {
		t.Errorf("%q, %v, %s", got, err, &log)
	}
	if _, err := s.Resolve(t.Context(), parse(t, "ssm:/acme/nothing")); !errors.Is(err, ErrMissing) {
		t.Errorf("what is not there: %v", err)
	}
}

// kmsKeyIn makes a key in KMS and returns its ARN.
func kmsKeyIn(t *testing.T, cfg aws.Config, multiRegion bool) string {
	t.Helper()
	out, err := kms.NewFromConfig(cfg).CreateKey(t.Context(), &kms.CreateKeyInput{MultiRegion: &multiRegion})
	if err != nil {
		t.Fatal(err)
	}
	return *out.KeyMetadata.Arn
}

// S5
func TestAKeyOfKMSWrapsTheRepositoryKeyForItsRepositoryOnly(t *testing.T) {
	t.Parallel()
	a := emulator(t)
	s := a.source(io.Discard)
	arn := kmsKeyIn(t, in(a.cfg, "eu-central-1"), false)
	key, err := s.Key(t.Context(), "kms:"+arn)
	if err != nil || key.Method() != "kms" || key.KeyID() != arn {
		t.Fatalf("%v, %v", key, err)
	}
	if a.regions[0] != "eu-central-1" {
		t.Errorf("asked in %q", a.regions)
	}
	repositoryKey := seal.NewRepositoryKey()
	wrapped, err := repositoryKey.WrapWith(t.Context(), key, "repo-a")
	if err != nil {
		t.Fatal(err)
	}
	again, err := seal.UnwrapRepositoryKey(t.Context(), key, wrapped, "repo-a")
	if err != nil || again.ID() != repositoryKey.ID() {
		t.Fatalf("%v, %v", again, err)
	}
	if _, err := seal.UnwrapRepositoryKey(t.Context(), key, wrapped, "repo-b"); !errors.Is(err, seal.ErrDamaged) {
		t.Errorf("for another repository: %v", err)
	}
	for n := 0; n < len(wrapped); n += 7 {
		if _, err := seal.UnwrapRepositoryKey(t.Context(), key, wrapped[:n], "repo-a"); err == nil {
			t.Errorf("cut to %d bytes it opens", n)
		}
		if n < 2 || n > len(wrapped)-60 { // what KMS made, moto does not authenticate
			flipped := bytes.Clone(wrapped)
			flipped[n] ^= 1
			if _, err := seal.UnwrapRepositoryKey(t.Context(), key, flipped, "repo-a"); err == nil {
				t.Errorf("with byte %d flipped it opens", n)
			}
		}
	}
	other, err := s.Key(t.Context(), "kms:"+kmsKeyIn(t, a.cfg, false))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := seal.UnwrapRepositoryKey(t.Context(), other, wrapped, "repo-a"); err == nil {
		t.Error("another key opens it")
	}
}

// S3
func TestAReplicaOfAMultiRegionKeyIsTheSameKey(t *testing.T) {
	t.Parallel()
	s := (&access{}).source(io.Discard)
	ids := map[string]bool{}
	for _, region := range []string{"us-east-1", "eu-west-1"} {
		key, err := s.Key(t.Context(), "kms:arn:aws:kms:"+region+":111122223333:key/mrk-1234")
		if err != nil {
			t.Fatal(err)
		}
		ids[key.KeyID()] = true
	}
	if len(ids) != 1 {
		t.Errorf("they have different names: %v", ids)
	}
}

func TestWhatIsNoKeyOfKMSIsRefused(t *testing.T) {
	t.Parallel()
	s := (&access{}).source(io.Discard)
	for ref, want := range map[string]string{
		"kms:arn:aws:kms:us-east-1:111122223333:alias/backup": "an alias can be pointed at another key",
		"kms:arn:aws:s3:::bucket":                             "not the ARN of a KMS key",
		"kms:arn:aws:kms:us-east-1:111122223333:key/":         "by its own ARN",
	} {
		if _, err := s.Key(t.Context(), ref); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", ref, err, want)
		}
	}
	if _, err := (Source{}).Key(t.Context(), "kms:arn:aws:kms:us-east-1:111122223333:key/1"); !errors.Is(err, ErrUnsupported) {
		t.Errorf("without access to AWS: %v", err)
	}
	if _, err := s.Resolve(t.Context(), parse(t, "kms:arn:aws:kms:us-east-1:111122223333:key/1")); !errors.Is(err, ErrUnsupported) {
		t.Errorf("as a text: %v", err)
	}
}

func TestAKeyOfKMSThatCanNotBeUsedSaysTheWayBack(t *testing.T) {
	t.Parallel()
	const arn = "arn:aws:kms:us-east-1:111122223333:key/1"
	wrapped := append([]byte{0, 1}, make([]byte, 80)...)
	for code, want := range map[string]string{"DisabledException": "enable-key", "KMSInvalidStateException": "cancel-key-deletion", "NotFoundException": "gone for good"} {
		// moto uses such keys all the same.
		s := (&access{cfg: aws.Config{Region: "us-east-1", HTTPClient: refusing(code)}}).source(io.Discard)
		named, err := s.KeySource("kms:"+arn, nil)(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := named.Unwrap(t.Context(), wrapped, "repo-a"); err == nil || errors.Is(err, seal.ErrUnavailable) || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), arn) {
			t.Errorf("%s: %v", code, err)
		}
		// Guessed at, it is as good as not there.
		var missed []error
		guess, err := s.KeySource("", func(err error) { missed = append(missed, err) })(t.Context(), []string{"kms:" + arn})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := guess.Unwrap(t.Context(), wrapped, "repo-a"); !errors.Is(err, seal.ErrUnavailable) || len(missed) != 1 || !strings.Contains(missed[0].Error(), want) {
			t.Errorf("%s, guessed at: %v, missed %v", code, err, missed)
		}
	}
	for code, want := range map[string]error{"InvalidCiphertextException": seal.ErrDamaged, "IncorrectKeyException": seal.ErrWrongKey} {
		s := (&access{cfg: aws.Config{Region: "us-east-1", HTTPClient: refusing(code)}}).source(io.Discard)
		key, err := s.KeySource("", nil)(t.Context(), []string{"kms:" + arn})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := key.Unwrap(t.Context(), wrapped, "repo-a"); !errors.Is(err, want) || errors.Is(err, seal.ErrUnavailable) {
			t.Errorf("%s: %v, want %v", code, err, want)
		}
	}
}

// refusing answers every request as AWS refuses it. moto refuses nobody.
type refusing string

func (r refusing) Do(*http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: http.StatusBadRequest, Header: http.Header{"Content-Type": {"application/x-amz-json-1.1"}},
		Body: io.NopCloser(strings.NewReader(`{"__type":"` + string(r) + `","message":"User: arn:aws:iam::111122223333:user/joe is not authorized"}`))}, nil
}

func TestARefusalNamesThePermissionThatIsMissing(t *testing.T) {
	t.Parallel()
	a := &access{cfg: aws.Config{Region: "us-east-1", HTTPClient: refusing("AccessDeniedException"), Credentials: credentials.NewStaticCredentialsProvider("a", "b", "")}}
	s := a.source(io.Discard)
	for ref, want := range map[string]string{"secretsmanager:a": "secretsmanager:GetSecretValue", "ssm:a": "ssm:GetParameter"} {
		if _, err := s.Resolve(t.Context(), parse(t, ref)); !errors.Is(err, awsapi.ErrDenied) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s named", ref, err, want)
		}
	}
	key, err := s.Key(t.Context(), "kms:arn:aws:kms:us-east-1:111122223333:key/1")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := key.Wrap(t.Context(), make([]byte, 32), "repo"); !errors.Is(err, awsapi.ErrDenied) || !strings.Contains(err.Error(), "kms:GenerateDataKey") {
		t.Errorf("wrap: %v", err)
	}
	if _, err := key.Unwrap(t.Context(), append([]byte{0, 1}, make([]byte, 80)...), "repo"); !errors.Is(err, awsapi.ErrDenied) || !strings.Contains(err.Error(), "kms:Decrypt") {
		t.Errorf("unwrap: %v", err)
	}
	// Who only lists does not need the key: suggested, it is passed over.
	missed := 0
	got, err := s.KeySource("", func(error) { missed++ })(t.Context(), []string{"secretsmanager:a", "ssm:a"})
	if got != nil || err != nil || missed != 2 {
		t.Errorf("suggested: %v, %v, %d missed", got, err, missed)
	}
	if _, err := s.KeySource("ssm:a", nil)(t.Context(), nil); !errors.Is(err, awsapi.ErrDenied) {
		t.Errorf("named: %v", err)
	}
}

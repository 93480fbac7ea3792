package secret

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/seal"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/secretref"
)

func parse(t *testing.T, text string) secretref.Ref {
	t.Helper()
	ref, err := secretref.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return ref
}

func file(t *testing.T, mode os.FileMode, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(path, []byte(content), mode); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestSecretsComeFromTheEnvironmentAndFromFiles(t *testing.T) {
	t.Setenv("SECRET_PLAIN", "hunter2")
	t.Setenv("SECRET_JSON", `{"password":"pa\"ss","port":5432,"empty":""}`)
	for _, c := range []struct{ ref, want string }{
		{"env:SECRET_PLAIN", "hunter2"},
		{"env:SECRET_JSON#password", `pa"ss`},
		{"file:" + file(t, 0o600, "hunter3\n"), "hunter3"},
		{"file:" + file(t, 0o600, "two\nlines\r\n"), "two\nlines"},
		{"file:" + file(t, 0o600, `{"a":"b"}`) + "#a", "b"},
	} {
		got, err := Source{}.Resolve(context.Background(), parse(t, c.ref))
		if err != nil || string(got) != c.want {
			t.Errorf("%s: got %q, %v; want %q", c.ref, got, err, c.want)
		}
	}
}

func TestAnUnreadableSecretSaysWhyAndNeverItsValue(t *testing.T) {
	t.Setenv("SECRET_JSON", `{"password":"hunter2","port":5432,"empty":""}`)
	t.Setenv("SECRET_TEXT", "hunter2")
	t.Setenv("SECRET_EMPTY", "")
	for _, c := range []struct {
		ref, want string
		is        error
	}{
		{"env:SECRET_NOT_THERE", "is not set", ErrMissing},
		{"env:SECRET_EMPTY", "is empty", ErrMissing},
		{"env:SECRET_JSON#pasword", `did you mean "password"`, ErrMissing},
		{"env:SECRET_JSON#port", "is not a text", nil},
		{"env:SECRET_JSON#empty", "is empty", ErrMissing},
		{"env:SECRET_TEXT#password", "not a JSON object", nil},
		{"file:/does/not/exist", "no such file", ErrMissing},
		{"file:" + filepath.Dir(file(t, 0o600, "x")), "is a directory", nil},
		{"file:" + file(t, 0o600, "\n"), "is empty", ErrMissing},
		{"file:" + file(t, 0o600, strings.Repeat("hunter2", 200_000)), "no secret", nil},
		{"ssm:name", "no access to AWS here", ErrUnsupported},
		{"secretsmanager:name#field", "no access to AWS here", ErrUnsupported},
		{"kms:arn:aws:kms:us-east-1:111122223333:key/x", "not available", ErrUnsupported},
	} {
		_, err := Source{}.Resolve(context.Background(), parse(t, c.ref))
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "hunter") {
			t.Errorf("%s: %v; want %q and no secret", c.ref, err, c.want)
		}
		if c.is != nil && !errors.Is(err, c.is) {
			t.Errorf("%s: %v is not %v", c.ref, err, c.is)
		}
	}
}

func TestAFileThatOthersMayReadIsWarnedAbout(t *testing.T) {
	var out bytes.Buffer
	source := Source{Log: slog.New(slog.NewTextHandler(&out, nil))}
	if _, err := source.Resolve(context.Background(), parse(t, "file:"+file(t, 0o600, "hunter2"))); err != nil || out.Len() > 0 {
		t.Fatalf("mode 0600: %v, %s", err, &out)
	}
	if _, err := source.Resolve(context.Background(), parse(t, "file:"+file(t, 0o644, "hunter2"))); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(out.String(), "chmod 600") || strings.Contains(out.String(), "hunter2") {
		t.Errorf("warning for mode 0644: %q", &out)
	}
}

func TestAKeyComesFromTheGivenReferenceElseFromTheSuggestedOnes(t *testing.T) {
	mine, theirs := seal.NewKey(), seal.NewKey()
	t.Setenv("KEY_MINE", mine.Encode())
	t.Setenv("KEY_THEIRS", theirs.Encode())
	suggested := []string{"kms:arn:aws:kms:x", "env:KEY_NOT_THERE", "env:KEY_THEIRS"}
	for _, c := range []struct {
		given string
		want  seal.Key
	}{{"env:KEY_MINE", mine}, {"", theirs}} {
		got, err := Source{}.KeySource(c.given, nil)(context.Background(), suggested)
		if err != nil || got.KeyID() != c.want.Fingerprint() {
			t.Errorf("given %q: got %v, %v; want %s", c.given, got, err, c.want)
		}
	}
	var missed []error
	got, err := (Source{}).KeySource("", func(err error) { missed = append(missed, err) })(context.Background(), suggested[:2])
	if len(missed) != 2 || !strings.Contains(missed[1].Error(), "env:KEY_NOT_THERE") {
		t.Errorf("what was tried: %v; want both references", missed)
	}
	if got != nil || err != nil {
		t.Errorf("nothing readable: got %v, %v; want no key and no error", got, err)
	}
	if _, err := (Source{}).KeySource("env:KEY_NOT_THERE", nil)(context.Background(), suggested); !errors.Is(err, ErrMissing) {
		t.Errorf("a given reference is binding, got %v", err)
	}
	t.Setenv("KEY_SHORT", "c2hvcnQ=")
	_, err = (Source{}).KeySource("env:KEY_SHORT", nil)(context.Background(), nil)
	if !errors.Is(err, seal.ErrKeySize) || strings.Contains(err.Error(), "c2hvcnQ") {
		t.Errorf("a short key: %v", err)
	}
}

package secretref_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/secretref"
)

func TestReferencesAreReadAndWrittenBack(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]secretref.Ref{
		"env:BACKUP_KEY":             {Scheme: "env", Value: "BACKUP_KEY"},
		"file:/etc/pgbackup/key":     {Scheme: "file", Value: "/etc/pgbackup/key"},
		"file:/etc/s.json#password":  {Scheme: "file", Value: "/etc/s.json", Field: "password"},
		"file:/etc/odd#name#":        {Scheme: "file", Value: "/etc/odd#name"},
		"secretsmanager:acme/db#pw":  {Scheme: "secretsmanager", Value: "acme/db", Field: "pw"},
		"ssm:/prod/db/password":      {Scheme: "ssm", Value: "/prod/db/password"},
		"kms:arn:aws:kms:eu:1:key/a": {Scheme: "kms", Value: "arn:aws:kms:eu:1:key/a"},
		"secretsmanager:arn:aws:secretsmanager:eu-west-1:1:secret:db-AbC#user": {Scheme: "secretsmanager", Value: "arn:aws:secretsmanager:eu-west-1:1:secret:db-AbC", Field: "user"},
	} {
		got, err := secretref.Parse(text)
		if err != nil || got != want {
			t.Errorf("%s: %+v, %v", text, got, err)
		}
		if got.String() != text {
			t.Errorf("%s is written %s", text, got)
		}
		data, err := json.Marshal(got)
		var back secretref.Ref
		if err != nil || json.Unmarshal(data, &back) != nil || back != want {
			t.Errorf("%s does not survive JSON: %s", text, data)
		}
	}
}

func TestAnythingElseIsRefusedWithoutRepeatingIt(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":                          "is empty",
		"hunter2":                   "not a reference",
		"correct:horse:hunter2":     "not a reference",
		"evn:hunter2":               `"env:" was perhaps meant`,
		"env:hunter2 with spaces":   "name of an environment variable",
		"env:":                      "name of an environment variable",
		"file:hunter2":              "absolute path",
		"file:/etc/hunter2/":        "name a file",
		"kms:hunter2":               "ARN",
		"kms:arn:hunter2#x":         "has no fields",
		"ssm:hunter2 hunter2":       "a name or an ARN",
		"secretsmanager:":           "a name or an ARN",
		"secretsmanager:a#hunter2 ": "one key of a JSON secret",
	} {
		_, err := secretref.Parse(text)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v; want %s", text, err, want)
			continue
		}
		if strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%q: the error repeats what may be the secret: %v", text, err)
		}
	}
	if _, err := secretref.Parse("hunter2"); !errors.Is(err, secretref.ErrNotReference) {
		t.Error("a literal is not recognisable as one")
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"", "env:A", "file:/a#b", "kms:arn:x", "ssm:a#", "x:y"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		ref, err := secretref.Parse(s)
		if err != nil {
			return
		}
		again, err := secretref.Parse(ref.String())
		if err != nil || again != ref {
			t.Fatalf("%q -> %+v -> %q -> %+v: %v", s, ref, ref.String(), again, err)
		}
	})
}

package strictjson_test

import (
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/duration"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/strictjson"
)

type embedded struct {
	Last int `json:"keep_last"`
}

type logical struct {
	Databases []string          `json:"databases,omitempty"`
	Port      int               `json:"port"`
	Labels    map[string]string `json:"labels"`
}

type document struct {
	embedded

	Name    string            `json:"name"`
	Logical *logical          `json:"logical"`
	List    []logical         `json:"list"`
	Span    duration.Duration `json:"span"`
	At      time.Time         `json:"at"`
	Flag    *bool             `json:"flag"`
	Raw     json.RawMessage   `json:"raw"`
	Hidden  string            `json:"-"`
}

func TestAValidDocumentIsReadAsEncodingJSONWould(t *testing.T) {
	t.Parallel()
	data := []byte(` {"keep_last":3,"name":"é\n","logical":{"databases":["a","b"],"port":5432,"labels":{"x":"y"}},"list":[{"port":1},{}],
		"span":"24h","at":"2026-03-01T00:00:00Z","flag":false,"raw":{"any":["thing"]}} `)
	var got, want document
	if err := strictjson.Unmarshal(data, &got); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, &want); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%+v\n%+v", got, want)
	}
}

func TestNullIsNotGiven(t *testing.T) {
	t.Parallel()
	var got document
	if err := strictjson.Unmarshal([]byte(`{"keep_last":null,"name":null,"logical":null,"list":null,"span":null,"flag":null}`), &got); err != nil {
		t.Fatal(err)
	}
	if got.Logical != nil || got.Flag != nil || got.Name != "" || got.List != nil {
		t.Errorf("%+v", got)
	}
}

func TestFaultsAreNamedWithTheirPlace(t *testing.T) {
	t.Parallel()
	for data, want := range map[string]string{
		`{"logical":{"databses":[]}}`:          `job.logical.databses: unknown field; did you mean "databases"?`,
		`{"Name":"x"}`:                         `job.Name: unknown field; did you mean "name"?`,
		`{"Hidden":"x"}`:                       `job.Hidden: unknown field`,
		`{"list":[{},{"prt":1}]}`:              `job.list[1].prt: unknown field; did you mean "port"?`,
		`{"name":"a","name":"b"}`:              `job.name: is given twice`,
		`{"raw":{"a":1,"a":2}}`:                `job.raw.a: is given twice`,
		`{"name":1}`:                           `job.name: must be text in quotes, not a number`,
		`{"keep_last":"3"}`:                    `job.keep_last: must be a whole number, not text`,
		`{"keep_last":3.5}`:                    `job.keep_last: must be a whole number, not a fraction`,
		`{"keep_last":99999999999999999999}`:   `job.keep_last: must be a whole number`,
		`{"flag":"true"}`:                      `job.flag: must be true or false, not text`,
		`{"logical":[]}`:                       `job.logical: must be an object, not a list`,
		`{"logical":{"databases":"app"}}`:      `job.logical.databases: must be a list, not text`,
		`{"logical":{"databases":["a",null]}}`: `job.logical.databases[1]: must not be null`,
		`{"logical":{"labels":{"x":1}}}`:       `job.logical.labels.x: must be text`,
		`{"span":"7days"}`:                     `job.span: duration "7days": "days" is not a unit`,
		`{"at":"yesterday"}`:                   `job.at: `,
		`{} {}`:                                `more data after the end`,
		`{"name":"a",}`:                        `job: line 1, column`,
		"{\n  \"name\": oops\n}":               `job: line 2, column`,
		`{"name":"a"`:                          `job: is cut off`,
		``:                                     `job: is empty`,
		`[]`:                                   `job: must be an object, not a list`,
		`null x`:                               `more data`,
		"\xef\xbb\xbf{}":                       `byte order mark`,
		"{\"name\":\"\xff\"}":                  `not valid UTF-8`,
		strings.Repeat("[", 40) + strings.Repeat("]", 40): `nested deeper than 32`,
		`{"` + strings.Repeat("x", 5000) + `":1}`:         `unknown field`,
		`{"a\nb":1}`: `job."a\nb": unknown field`,
		`"` + strings.Repeat("x", strictjson.MaxSize) + `"`: `at most 1048576 are read`,
	} {
		var doc document
		err := strictjson.UnmarshalNamed("job", []byte(data), &doc)
		var located *strictjson.Error
		if err == nil || !strings.Contains(err.Error(), want) || !errors.As(err, &located) {
			t.Errorf("%.60s: %v; want %s", data, err, want)
			continue
		}
		if len(err.Error()) > 400 {
			t.Errorf("%.60s: the error is %d characters long", data, len(err.Error()))
		}
	}
}

func TestAnErrorWithoutANameBeginsWithTheField(t *testing.T) {
	t.Parallel()
	var doc document
	if err := strictjson.Unmarshal([]byte(`{"nam":"x"}`), &doc); err == nil || err.Error() != `nam: unknown field; did you mean "name"?` {
		t.Error(err)
	}
	if err := strictjson.Unmarshal([]byte(`{}`), doc); err == nil {
		t.Error("a value that cannot be written to was accepted")
	}
}

func FuzzUnmarshal(f *testing.F) {
	for _, s := range []string{`{}`, `{"name":"x","logical":{"databases":["a"]}}`, `{"a":[[[]]]}`, `{"span":"1d"} `, "null", `{"list":[{}]}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var strict, loose document
		if strictjson.Unmarshal(data, &strict) != nil {
			return
		}
		if err := json.Unmarshal(data, &loose); err != nil || !reflect.DeepEqual(strict, loose) {
			t.Fatalf("accepted what encoding/json reads otherwise: %v\n%+v\n%+v", err, strict, loose)
		}
	})
}

package repo

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestASmallDocumentCanNotMakeALargeList(t *testing.T) {
	t.Parallel()
	bomb := "[" + strings.Repeat("{},", maxList) + "{}]"
	for what, doc := range map[string]string{
		"more than 20000 objects":  `{"format":1,"objects":` + bomb + `}`,
		"more than 500000 entries": `{"format":1,"entries":` + bomb + `}`,
		"more than 500000 chunks":  `{"format":1,"chunks":` + bomb + `}`,
	} {
		var err error
		if strings.Contains(what, "objects") {
			err = json.Unmarshal([]byte(doc), &Manifest{})
		} else {
			err = json.Unmarshal([]byte(doc), &Index{})
		}
		if err == nil || !strings.Contains(err.Error(), what) {
			t.Errorf("%v, want %q in it", err, what)
		}
	}
}

func TestBoundedListsDecodeAsTheyWereEncoded(t *testing.T) {
	t.Parallel()
	m := Manifest{Format: 1, ID: "x", Objects: []Object{{Name: "archive.0000", Size: 3}}, Durations: map[string]float64{"a": 1}}
	x := Index{Format: 1, Stream: "archive", HeadEnd: 7, Chunks: []Chunk{{Stored: 1, Row: true}}, Entries: []Entry{{DumpID: 2, To: 9}}}
	for _, c := range []struct{ in, out any }{{&m, &Manifest{}}, {&x, &Index{}}} {
		data, err := json.Marshal(c.in)
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(data, c.out); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(c.in, c.out); diff != "" {
			t.Error(diff)
		}
	}
}

package policy_test

import (
	"bytes"
	"testing"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/policy"
)

var documents = []string{
	prodCanonical,
	tieredCanonical,
	`{"format":1,"name":"a","retention":{"keep_last":-1,"wal":"1mo"}}`,
	`{"format":1,"name":"a","retention":{"keep_daily":1},"storage":{"transitions":[],"classes":{},"expire_after":null}}`,
	`{"format":1,"name":"a","retention":{"keep_daily":1},"storage":{"transitions":[{"after":"1w","class":"GLACIER","tiers":["daily","daily"]}]}}`,
	`{"format":1,"name":"a","retention":{"keep_daily":1},"storage":{"transitions":[{"after":"3mo","class":"glacier"},{}]}}`,
	`{"format":1,"name":"a","environment":"\u2028<\ud800>","retention":{"keep_within":"24h"}}`,
	`{"format":1,"name":"a","objectives":{"rpo":"0s"},"retention":{"keep_daily":1}}`,
	`{"format":2}`,
}

// Whatever is read has one form: written and read again it is the same bytes,
// the same digest and no change.
func FuzzParse(f *testing.F) {
	for _, d := range documents {
		f.Add([]byte(d))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		d, err := policy.Parse(data)
		if err != nil {
			return
		}
		again, err := policy.Parse(d.Canonical())
		if err != nil {
			t.Fatalf("%s: its canonical form %s is refused: %v", data, d.Canonical(), err)
		}
		if !bytes.Equal(again.Canonical(), d.Canonical()) || again.Digest() != d.Digest() {
			t.Fatalf("%s: canonical form %s became %s", data, d.Canonical(), again.Canonical())
		}
		if changes := policy.Diff(d, again); len(changes) != 0 {
			t.Fatalf("%s differs from itself: %v", data, changes)
		}
		for _, tier := range d.Tiers() {
			d.Storage.ClassAt(tier, time.Hour)
		}
	})
}

// Whatever is read as a revision can be written again and means the same.
func FuzzParseRevision(f *testing.F) {
	for i, text := range documents {
		d, err := policy.Parse([]byte(text))
		if err != nil {
			f.Add([]byte(`{"format":1,"revision":1,"digest":"","envelope":{"at":"2026-03-01T02:00:00Z"},"document":` + text + `}`))
			continue
		}
		envelope := policy.Envelope{At: time.Unix(int64(i)*1e8, 0), By: "ci", Retired: i%2 == 0, Loss: &policy.Loss{Points: i, AsOf: time.Unix(1e9, 0)}}
		data, err := policy.Revision{Number: i + 1, Document: d, Envelope: envelope}.Encode()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := policy.ParseRevision(data)
		if err != nil {
			return
		}
		written, err := r.Encode()
		if err != nil {
			t.Fatalf("%s was read and cannot be written: %v", data, err)
		}
		again, err := policy.ParseRevision(written)
		if err != nil {
			t.Fatalf("%s was written and cannot be read: %v", written, err)
		}
		twice, err := again.Encode()
		if err != nil || !bytes.Equal(written, twice) || again.Key() != r.Key() {
			t.Fatalf("%s became %s, %v", written, twice, err)
		}
	})
}

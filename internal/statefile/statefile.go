// Package statefile reads as much of a Terraform or OpenTofu state file as is
// needed to tell its versions apart and to see what became of the policies in it,
// and rewrites its serial without touching any other byte.
//
// It is pure, and it never lets a value of the state out except those of
// policies, which hold no secret: a state file holds passwords of other
// resources, so errors say where, never what. Fetching versions of a state file
// is package awsapi/versions' business.
package statefile

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"unicode/utf8"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/policy"
)

// MaxSize is the largest state file read, in bytes. States of ten thousand
// resources are a tenth of it.
const MaxSize = 64 << 20

// Format is the version of the state file format read here; Terraform writes it
// since 0.12, OpenTofu since its beginning.
// Source: internal/states/statefile/version4.go of both.
const Format = 4

// State is what is known of one state file.
type State struct {
	Serial           int64
	Lineage          string // the same for all versions of one state
	TerraformVersion string // of the program that wrote it
	// Policies are the instances of pgbackup_policy by their address. Nil when
	// Encrypted.
	Policies map[string]Policy
	// Resources are all managed instances by their address, with a hash of their
	// attributes instead of these. Nil when Encrypted.
	Resources map[string][sha256.Size]byte
	// Encrypted: OpenTofu encrypted the state; serial and lineage stand outside.
	Encrypted bool
}

// Policy is one instance of pgbackup_policy in a state.
type Policy struct {
	ID       string // repository and name, as the resource's attribute id
	Document policy.Document
	// Problem says why the document is not known; nil when it is.
	Problem error
}

// head is the top of the file. Serial is kept as text: it has to be found to be a
// whole number before it is believed.
type head struct {
	Version          json.Number     `json:"version"`
	TerraformVersion string          `json:"terraform_version"`
	Serial           json.Number     `json:"serial"`
	Lineage          string          `json:"lineage"`
	Resources        []resource      `json:"resources"`
	EncryptedData    json.RawMessage `json:"encrypted_data"`
}

type resource struct {
	Module    string     `json:"module"`
	Mode      string     `json:"mode"`
	Type      string     `json:"type"`
	Name      string     `json:"name"`
	Instances []instance `json:"instances"`
}

type instance struct {
	IndexKey   json.RawMessage `json:"index_key"`
	Deposed    string          `json:"deposed"`
	Attributes json.RawMessage `json:"attributes"`
}

// Parse reads a state file. Unknown fields are fine: the format grows.
func Parse(data []byte) (State, error) {
	h, err := parseHead(data)
	if err != nil {
		return State{}, err
	}
	s := State{Lineage: h.Lineage, TerraformVersion: h.TerraformVersion, Encrypted: len(h.EncryptedData) > 0}
	if s.Serial, err = whole(h.Serial); err != nil {
		return State{}, fmt.Errorf("state file: serial %w", err)
	}
	if s.Encrypted {
		return s, nil
	}
	if n, err := whole(h.Version); err != nil || n != Format {
		return State{}, fmt.Errorf("state file: format version %.20q is not read by this program, only %d (Terraform 0.12 and newer)", h.Version.String(), Format)
	}
	s.Policies, s.Resources = map[string]Policy{}, map[string][sha256.Size]byte{}
	for _, r := range h.Resources {
		if r.Mode != "managed" {
			continue
		}
		for _, i := range r.Instances {
			if i.Deposed != "" {
				continue // what a failed replacement left: not in force
			}
			at := address(r, i)
			s.Resources[at] = sha256.Sum256(i.Attributes)
			if r.Type == "pgbackup_policy" {
				s.Policies[at] = readPolicy(i.Attributes)
			}
		}
	}
	return s, nil
}

func parseHead(data []byte) (head, error) {
	var h head
	switch {
	case len(data) > MaxSize:
		return h, fmt.Errorf("state file: is %d bytes long, at most %d are read", len(data), MaxSize)
	case len(bytes.TrimSpace(data)) == 0:
		return h, errors.New("state file: is empty")
	case !utf8.Valid(data):
		return h, errors.New("state file: is not valid UTF-8")
	}
	if err := json.Unmarshal(data, &h); err != nil {
		return h, fmt.Errorf("state file: %w", place(err))
	}
	return h, nil
}

// place says where a state is broken. What encoding/json says itself may repeat
// a value.
func place(err error) error {
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	switch {
	case errors.As(err, &syntax):
		return fmt.Errorf("is not valid JSON, or cut off, at byte %d", syntax.Offset)
	case errors.As(err, &kind) && kind.Field != "":
		return fmt.Errorf("%.100s is not of the type it has in a Terraform state", kind.Field)
	}
	return errors.New("is not a Terraform state")
}

var errWhole = errors.New("is missing or not a whole number from 0 up")

func whole(n json.Number) (int64, error) {
	v, err := strconv.ParseInt(n.String(), 10, 64)
	if err != nil || v < 0 || v == math.MaxInt64 {
		return 0, errWhole
	}
	return v, nil
}

// address is what Terraform calls an instance: module.m.pgbackup_policy.prod["a"].
func address(r resource, i instance) string {
	name := r.Type + "." + r.Name
	if r.Module != "" {
		name = r.Module + "." + name
	}
	if key := bytes.TrimSpace(i.IndexKey); len(key) > 0 && string(key) != "null" {
		name += "[" + string(key) + "]"
	}
	return name
}

// WithSerial gives the same state with another serial: only the digits of the
// number change, because writing the document anew would round numbers and
// reorder what other programs compare byte by byte.
func WithSerial(data []byte, serial int64) ([]byte, error) {
	s, err := Parse(data)
	if err != nil {
		return nil, err
	}
	if s.Encrypted {
		return nil, errors.New("state file: it is encrypted and repeats its serial inside, where it can not be changed: pull it with `tofu state pull`, and push it with `tofu state push`")
	}
	if serial < 0 || serial == math.MaxInt64 {
		return nil, fmt.Errorf("state file: serial %w", errWhole)
	}
	begin, end, err := findSerial(data)
	if err != nil {
		return nil, err
	}
	out := make([]byte, 0, len(data)+8)
	out = append(out, data[:begin]...)
	out = strconv.AppendInt(out, serial, 10)
	out = append(out, data[end:]...)
	if again, err := Parse(out); err != nil || again.Serial != serial || again.Lineage != s.Lineage {
		return nil, errors.New("state file: its serial can not be replaced safely")
	}
	return out, nil
}

// findSerial gives the place of the digits of the outermost "serial".
func findSerial(data []byte) (begin, end int, err error) {
	unclear := errors.New("state file: it is not clear which number is its serial")
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	if t, err := dec.Token(); err != nil || t != json.Delim('{') {
		return 0, 0, unclear
	}
	found := false
	for dec.More() {
		key, err := dec.Token()
		if err != nil {
			return 0, 0, unclear
		}
		name, _ := key.(string)
		if name != "serial" {
			// Names that differ in case only fool encoding/json.
			if bytes.EqualFold([]byte(name), []byte("serial")) {
				return 0, 0, unclear
			}
			var skipped json.RawMessage
			if err := dec.Decode(&skipped); err != nil {
				return 0, 0, unclear
			}
			continue
		}
		value, err := dec.Token()
		number, ok := value.(json.Number)
		if err != nil || !ok || found {
			return 0, 0, unclear
		}
		found = true
		end = int(dec.InputOffset())
		begin = end - len(number)
		if string(data[begin:end]) != number.String() {
			return 0, 0, unclear
		}
	}
	if _, err := dec.Token(); err != nil && !errors.Is(err, io.EOF) || !found {
		return 0, 0, unclear
	}
	return begin, end, nil
}

package strictjson

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/nearest"
)

// decode reads raw, which is known to be valid JSON, into v.
func decode(raw json.RawMessage, v reflect.Value, path string) error {
	raw = bytes.TrimSpace(raw)
	if string(raw) == "null" {
		return nil // not given
	}
	if v.Kind() == reflect.Pointer {
		v.Set(reflect.New(v.Type().Elem()))
		return decode(raw, v.Elem(), path)
	}
	if reads(v.Type()) {
		return decodeLeaf(raw, v, path)
	}
	switch v.Kind() {
	case reflect.Struct:
		return decodeStruct(raw, v, path)
	case reflect.Slice:
		if v.Type().Elem().Kind() != reflect.Uint8 {
			return decodeSlice(raw, v, path)
		}
	case reflect.Map:
		if v.Type().Key().Kind() == reflect.String {
			return decodeMap(raw, v, path)
		}
	}
	return decodeLeaf(raw, v, path)
}

func decodeLeaf(raw json.RawMessage, v reflect.Value, path string) error {
	err := json.Unmarshal(raw, v.Addr().Interface())
	var wrongType *json.UnmarshalTypeError
	if errors.As(err, &wrongType) {
		return &Error{path, fmt.Errorf("must be %s, not %s", describe(v.Type()), describeValue(raw))}
	}
	if err != nil {
		return &Error{path, err}
	}
	return nil
}

func decodeStruct(raw json.RawMessage, v reflect.Value, path string) error {
	var members map[string]json.RawMessage
	if err := decodeInto(raw, &members, "an object", path); err != nil {
		return err
	}
	fields := fieldsOf(v.Type())
	for _, name := range sortedKeys(members) {
		index, known := fields.byName[name]
		if !known {
			return &Error{join(path, name), fmt.Errorf("unknown field%s", nearest.Suggestion(name, fields.names))}
		}
		if err := decode(members[name], v.FieldByIndex(index), join(path, name)); err != nil {
			return err
		}
	}
	return nil
}

func decodeSlice(raw json.RawMessage, v reflect.Value, path string) error {
	var items []json.RawMessage
	if err := decodeInto(raw, &items, "a list", path); err != nil {
		return err
	}
	list := reflect.MakeSlice(v.Type(), len(items), len(items))
	for i, item := range items {
		place := path + "[" + strconv.Itoa(i) + "]"
		if string(item) == "null" {
			return &Error{place, errors.New("must not be null")}
		}
		if err := decode(item, list.Index(i), place); err != nil {
			return err
		}
	}
	v.Set(list)
	return nil
}

func decodeMap(raw json.RawMessage, v reflect.Value, path string) error {
	var members map[string]json.RawMessage
	if err := decodeInto(raw, &members, "an object", path); err != nil {
		return err
	}
	v.Set(reflect.MakeMapWithSize(v.Type(), len(members)))
	for _, name := range sortedKeys(members) {
		value := reflect.New(v.Type().Elem()).Elem()
		if err := decode(members[name], value, join(path, name)); err != nil {
			return err
		}
		v.SetMapIndex(reflect.ValueOf(name).Convert(v.Type().Key()), value)
	}
	return nil
}

func decodeInto(raw json.RawMessage, target any, want, path string) error {
	if err := json.Unmarshal(raw, target); err != nil {
		return &Error{path, fmt.Errorf("must be %s, not %s", want, describeValue(raw))}
	}
	return nil
}

// sortedKeys makes the first error reported the same on every run.
func sortedKeys(m map[string]json.RawMessage) []string {
	names := make([]string, 0, len(m))
	for name := range m {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// structFields are the JSON names of a struct in the order of declaration.
type structFields struct {
	names  []string
	byName map[string][]int
}

// fieldsOf follows the rules of encoding/json for tags and embedded structs as
// far as this product uses them: every field has a tag, no two fields compete.
func fieldsOf(t reflect.Type) structFields {
	out := structFields{byName: map[string][]int{}}
	for _, f := range reflect.VisibleFields(t) {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if !f.IsExported() || name == "-" || (f.Anonymous && name == "" && f.Type.Kind() == reflect.Struct) {
			continue
		}
		if name == "" {
			name = f.Name
		}
		out.names = append(out.names, name)
		out.byName[name] = f.Index
	}
	return out
}

func describe(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Bool:
		return "true or false"
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return "a whole number"
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return "a whole number from 0 up"
	case reflect.Float32, reflect.Float64:
		return "a number"
	}
	return "text in quotes"
}

// describeValue names the kind of a value, never the value: what stands in the
// wrong place may be a secret.
func describeValue(raw json.RawMessage) string {
	switch raw[0] {
	case '"':
		return "text"
	case '{':
		return "an object"
	case '[':
		return "a list"
	case 't', 'f':
		return "true or false"
	}
	if bytes.ContainsAny(raw, ".eE") {
		return "a fraction"
	}
	return "a number"
}

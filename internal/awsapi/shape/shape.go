// Package shape brings what a service says of something into the form in which it
// was asked for, so that both can be compared, kept and read by people.
//
// What must not live here: any one service.
package shape

import (
	"reflect"
	"strings"
	"time"

	"github.com/aws/smithy-go/middleware"
)

// Copy sets each exported field of to from the field of from that has the same
// name and type. Both are pointers to structs of an SDK: an answer, and the
// request that would have led to it.
func Copy(to, from any) {
	dst, src := reflect.ValueOf(to).Elem(), reflect.ValueOf(from).Elem()
	for i := range dst.NumField() {
		f := dst.Type().Field(i)
		if got := src.FieldByName(f.Name); f.IsExported() && got.IsValid() && got.Type() == f.Type && f.Type != reflect.TypeFor[middleware.Metadata]() {
			dst.Field(i).Set(got)
		}
	}
}

// Plain gives a struct of an SDK as JSON would hold it, in the spelling of the AWS
// CLI (containerDefinitions), without what is false, 0, "" or empty: a service
// leaves such things out or fills them in as it likes.
func Plain(v any) map[string]any {
	plain, _ := value(reflect.ValueOf(v)).(map[string]any)
	return plain
}

func value(v reflect.Value) any {
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		if v.IsNil() {
			return nil
		}
		return value(v.Elem())
	case reflect.Struct:
		if t, ok := v.Interface().(time.Time); ok {
			return t.UTC().Format(time.RFC3339)
		}
		return fields(v)
	case reflect.Slice:
		var list []any
		for i := range v.Len() {
			item := value(v.Index(i))
			if item == nil {
				item = "" // an empty word of a command is one
			}
			list = append(list, item)
		}
		return orNil(list, len(list))
	case reflect.Map:
		m := map[string]any{}
		for _, key := range v.MapKeys() {
			item := value(v.MapIndex(key))
			if item == nil {
				item = ""
			}
			m[key.String()] = item
		}
		return orNil(m, len(m))
	case reflect.String:
		return orNil(v.String(), v.Len())
	case reflect.Bool:
		if !v.Bool() {
			return nil
		}
		return true
	case reflect.Int, reflect.Int32, reflect.Int64:
		if v.Int() == 0 {
			return nil
		}
		return float64(v.Int()) // as a decoded document has it
	case reflect.Float64:
		if v.Float() == 0 {
			return nil
		}
		return v.Float()
	}
	return nil
}

func fields(v reflect.Value) any {
	m := map[string]any{}
	for i := range v.NumField() {
		f := v.Type().Field(i)
		if !f.IsExported() {
			continue
		}
		if item := value(v.Field(i)); item != nil {
			m[spelling(f.Name)] = item
		}
	}
	return orNil(m, len(m))
}

func orNil(v any, size int) any {
	if size == 0 {
		return nil
	}
	return v
}

// spelling of a field in the AWS CLI.
func spelling(name string) string {
	r := []rune(name)
	return strings.ToLower(string(r[:1])) + string(r[1:])
}

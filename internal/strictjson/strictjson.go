// Package strictjson reads JSON that people write by hand and programs trust:
// policies, job files, revisions. Everything encoding/json forgives is an error
// here, and every error says where: `job.logical.databses: unknown field; did
// you mean "databases"?`.
//
// Refused are unknown fields, names that differ in case only, duplicate names,
// data after the document, invalid UTF-8, nesting deeper than MaxDepth and
// documents larger than MaxSize. null counts as "not given".
//
// It knows nothing of what the documents mean.
package strictjson

import (
	"bytes"
	"encoding"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strconv"
	"unicode/utf8"
)

const (
	// MaxSize is the largest document read, in bytes.
	MaxSize = 1 << 20
	// MaxDepth is the deepest nesting of objects and arrays.
	MaxDepth = 32
)

// Error says what is wrong at which place of a document.
type Error struct {
	Path string // such as "logical.databases[2]"; empty for the document itself
	Err  error
}

func (e *Error) Error() string {
	if e.Path == "" {
		return e.Err.Error()
	}
	return e.Path + ": " + e.Err.Error()
}

// Unwrap gives the fault without its place.
func (e *Error) Unwrap() error { return e.Err }

// Unmarshal reads one JSON document into the value into points to, which must
// be fresh: on error its content is undefined. The error is an *Error.
func Unmarshal(data []byte, into any) error { return UnmarshalNamed("", data, into) }

// UnmarshalNamed is Unmarshal with a name for the document, which begins the
// path of every error.
func UnmarshalNamed(name string, data []byte, into any) error {
	target := reflect.ValueOf(into)
	if target.Kind() != reflect.Pointer || target.IsNil() {
		return &Error{name, fmt.Errorf("cannot read into %T: a pointer is needed", into)}
	}
	if err := checkText(data); err != nil {
		return &Error{name, err}
	}
	if err := checkSyntax(data, name); err != nil {
		return err
	}
	return decode(data, target.Elem(), name)
}

func checkText(data []byte) error {
	switch {
	case len(data) > MaxSize:
		return fmt.Errorf("is %d bytes long, at most %d are read", len(data), MaxSize)
	case len(bytes.TrimSpace(data)) == 0:
		return errors.New("is empty")
	case bytes.HasPrefix(data, []byte("\xef\xbb\xbf")):
		return errors.New("begins with a byte order mark: save it as UTF-8 without one")
	case !utf8.Valid(data):
		return errors.New("is not valid UTF-8")
	}
	return nil
}

// checkSyntax walks the whole document once, whatever it is read into, for what
// the decoder of encoding/json lets pass.
func checkSyntax(data []byte, name string) error {
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	if err := checkValue(dec, name, 0); err != nil {
		var located *Error
		if errors.As(err, &located) {
			return located
		}
		return &Error{name, syntaxError(data, dec, err)}
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return &Error{name, fmt.Errorf("%s: more data after the end of the document", position(data, dec.InputOffset()))}
	}
	return nil
}

func checkValue(dec *json.Decoder, path string, depth int) error {
	token, err := dec.Token()
	if err != nil {
		return err
	}
	delim, composite := token.(json.Delim)
	if !composite {
		return nil
	}
	if depth == MaxDepth {
		return &Error{path, fmt.Errorf("is nested deeper than %d levels", MaxDepth)}
	}
	seen := map[string]bool{}
	for i := 0; dec.More(); i++ {
		inner := path + "[" + strconv.Itoa(i) + "]"
		if delim == '{' {
			key, err := dec.Token()
			if err != nil {
				return err
			}
			field, ok := key.(string)
			if !ok {
				return fmt.Errorf("a field name is expected, not %v", key)
			}
			inner = join(path, field)
			if seen[field] {
				return &Error{inner, errors.New("is given twice")}
			}
			seen[field] = true
		}
		if err := checkValue(dec, inner, depth+1); err != nil {
			return err
		}
	}
	_, err = dec.Token()
	return err
}

func syntaxError(data []byte, dec *json.Decoder, err error) error {
	offset := dec.InputOffset()
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) {
		offset = syntax.Offset
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errors.New("is cut off: the JSON document ends too early")
	}
	return fmt.Errorf("%s: not valid JSON: %w", position(data, offset), err)
}

func position(data []byte, offset int64) string {
	before := data[:min(max(offset, 0), int64(len(data)))]
	line := bytes.Count(before, []byte("\n")) + 1
	column := len(before) - (bytes.LastIndexByte(before, '\n') + 1)
	return fmt.Sprintf("line %d, column %d", line, max(column, 1))
}

// maxShownName bounds how much of a hostile field name an error repeats.
const maxShownName = 60

func join(path, field string) string {
	if len(field) > maxShownName {
		field = field[:maxShownName] + "…"
	}
	for _, r := range field {
		if r < ' ' || r == utf8.RuneError || r == 0x7f {
			field = strconv.Quote(field)
			break
		}
	}
	if path == "" {
		return field
	}
	return path + "." + field
}

var (
	jsonUnmarshaler = reflect.TypeFor[json.Unmarshaler]()
	textUnmarshaler = reflect.TypeFor[encoding.TextUnmarshaler]()
)

// reads reports whether values of type t know themselves how to be read.
func reads(t reflect.Type) bool {
	p := reflect.PointerTo(t)
	return p.Implements(jsonUnmarshaler) || p.Implements(textUnmarshaler)
}

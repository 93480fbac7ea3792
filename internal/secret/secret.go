// Package secret reads the secrets that references (package secretref) point
// to, at the moment they are needed.
//
// What lives here: the adapters for each scheme and turning a repository's key
// reference into a key. What must not: parsing references, keeping secrets, and
// printing them: no error or log line of this package holds a secret.
package secret

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/nearest"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/secretref"
)

// Errors a caller may test for with errors.Is.
var (
	// ErrMissing: the variable is not set, or the file is not there.
	ErrMissing = errors.New("secret not found")
	// ErrUnsupported: this version can not read that kind of reference.
	ErrUnsupported = errors.New("not available in this version")
)

// maxSecret bounds a secret in bytes: whatever is larger was not meant to be one.
const maxSecret = 1 << 20

// Resolve reads what ref points to. Of a file, one trailing line end is not part
// of the secret; of a JSON secret with a field, the field's text is it. log is
// told of files that others may read; nil is silent.
func Resolve(ctx context.Context, ref secretref.Ref, log *slog.Logger) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	var value []byte
	var err error
	switch ref.Scheme {
	case secretref.Env:
		value, err = fromEnvironment(ref.Value)
	case secretref.File:
		value, err = fromFile(ref.Value, log)
	case "":
		return nil, fmt.Errorf("%w: it is empty", secretref.ErrNotReference)
	default:
		return nil, fmt.Errorf("read %s: %s references are %w; use env:NAME or file:/path", ref, ref.Scheme, ErrUnsupported)
	}
	if err == nil && ref.Field != "" {
		value, err = field(value, ref.Field)
	}
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", ref, err)
	}
	return value, nil
}

func fromEnvironment(name string) ([]byte, error) {
	value, ok := os.LookupEnv(name)
	switch {
	case !ok:
		return nil, fmt.Errorf("%w: the environment variable is not set; set it for the runner", ErrMissing)
	case value == "":
		return nil, fmt.Errorf("%w: the environment variable is empty", ErrMissing)
	}
	return []byte(value), nil
}

func fromFile(path string, log *slog.Logger) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, readable(err)
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return nil, readable(err)
	}
	if st.IsDir() {
		return nil, errors.New("it is a directory; name a file in it")
	}
	if st.Mode().IsRegular() && st.Mode().Perm()&0o077 != 0 && log != nil {
		log.Warn("a file with a secret may be read by other users; run chmod 600 on it", "file", path, "mode", fmt.Sprintf("%#o", st.Mode().Perm()))
	}
	data, err := io.ReadAll(io.LimitReader(f, maxSecret+1))
	switch {
	case err != nil:
		return nil, readable(err)
	case len(data) > maxSecret:
		return nil, fmt.Errorf("the file has more than %d bytes: it is no secret", maxSecret)
	}
	data = bytes.TrimSuffix(bytes.TrimSuffix(data, []byte("\n")), []byte("\r"))
	if len(data) == 0 {
		return nil, fmt.Errorf("%w: the file is empty", ErrMissing)
	}
	return data, nil
}

// readable keeps the cause and drops the path, which the reference already has.
func readable(err error) error {
	if pe := (*fs.PathError)(nil); errors.As(err, &pe) {
		err = pe.Err
	}
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w: %w", ErrMissing, err)
	}
	if errors.Is(err, fs.ErrPermission) {
		return fmt.Errorf("%w; let the user that runs this read it", err)
	}
	return err
}

// field takes one text out of a JSON object, as Secrets Manager keeps them.
func field(secret []byte, name string) ([]byte, error) {
	var fields map[string]json.RawMessage
	if json.Unmarshal(secret, &fields) != nil { // its error may quote the secret
		return nil, fmt.Errorf("the secret is not a JSON object, so it has no field %q; leave out \"#%s\" for the whole secret", name, name)
	}
	raw, ok := fields[name]
	if !ok {
		names := make([]string, 0, len(fields))
		for n := range fields {
			names = append(names, n)
		}
		hint := ""
		if near, ok := nearest.Name(name, names); ok {
			hint = fmt.Sprintf("; did you mean %q?", near)
		}
		return nil, fmt.Errorf("%w: the JSON secret has no field %q%s", ErrMissing, name, hint)
	}
	var text string
	if json.Unmarshal(raw, &text) != nil {
		return nil, fmt.Errorf("field %q of the JSON secret is not a text", name)
	}
	if text == "" {
		return nil, fmt.Errorf("%w: field %q of the JSON secret is empty", ErrMissing, name)
	}
	return []byte(text), nil
}

package secret

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
)

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
	if st.Mode().IsRegular() && st.Mode().Perm()&0o077 != 0 {
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

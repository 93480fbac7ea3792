// Package control reads what a data directory says about itself, without its server.
//
// What lives here: the system identifier. What must not: anything of a server that runs.
package control

import (
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
)

// System reads the system identifier, in decimal digits as pg_controldata shows it: the
// first eight bytes of global/pg_control, in the machine's byte order (struct
// ControlFileData of PostgreSQL's catalog/pg_control.h). fs.ErrNotExist when it is no
// data directory.
func System(dataDirectory string) (string, error) {
	f, err := os.Open(filepath.Join(dataDirectory, "global", "pg_control"))
	if err != nil {
		return "", err
	}
	defer func() { _ = f.Close() }()
	var b [8]byte
	if _, err := io.ReadFull(f, b[:]); err != nil {
		return "", fmt.Errorf("read %s: %w", f.Name(), err)
	}
	return strconv.FormatUint(binary.NativeEndian.Uint64(b[:]), 10), nil
}

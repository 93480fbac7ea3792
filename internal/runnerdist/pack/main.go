// Program pack compresses a built pgbackup-runner into the file that package
// runnerdist embeds, and writes its hash beside it. The same program gives the
// same bytes: neither a name nor a time is in the file.
//
//	go run ./internal/runnerdist/pack bin/pgbackup-runner_linux_amd64 internal/runnerdist/dist/pgbackup-runner_linux_amd64.gz
package main

import (
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
)

func main() {
	if len(os.Args) != 3 || !strings.HasSuffix(os.Args[2], ".gz") {
		fmt.Fprintln(os.Stderr, "usage: pack PROGRAM FILE.gz")
		os.Exit(2)
	}
	if err := pack(os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, "pack:", err)
		os.Exit(1)
	}
}

// pack writes the hash first: whoever looks at the time of the compressed file
// to see whether there is something to do finds both.
func pack(program, file string) error {
	tmp := file + ".tmp"
	sum, size, err := compress(program, tmp)
	if err != nil {
		return errors.Join(err, os.Remove(tmp))
	}
	if err := os.WriteFile(strings.TrimSuffix(file, ".gz")+".sha256", fmt.Appendf(nil, "%s %d\n", sum, size), 0o644); err != nil { //nolint:gosec // embedded, not secret
		return err
	}
	return os.Rename(tmp, file)
}

func compress(from, to string) (sum string, size int64, err error) {
	in, err := os.Open(from)
	if err != nil {
		return "", 0, err
	}
	defer in.Close()
	out, err := os.Create(to)
	if err != nil {
		return "", 0, err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	z, err := gzip.NewWriterLevel(out, gzip.BestCompression)
	if err != nil {
		return "", 0, err
	}
	h := sha256.New()
	if size, err = io.Copy(io.MultiWriter(z, h), in); err != nil {
		return "", 0, err
	}
	return hex.EncodeToString(h.Sum(nil)), size, z.Close()
}

package runnerdist

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
)

// checked reads a program and holds it against what its build promised.
type checked struct {
	io.ReadCloser
	build Build
	hash  hash.Hash
	read  int64
}

func newChecked(r io.ReadCloser, b Build) io.ReadCloser {
	return &checked{ReadCloser: r, build: b, hash: sha256.New()}
}

func (c *checked) Read(p []byte) (int, error) {
	n, err := c.ReadCloser.Read(p)
	c.hash.Write(p[:n])
	c.read += int64(n)
	if err == io.EOF {
		if sum := hex.EncodeToString(c.hash.Sum(nil)); sum != c.build.SHA256 {
			return n, fmt.Errorf("the runner for linux/%s has SHA-256 %s after %d bytes, expected is %s: the file changed or is damaged", c.build.Arch, sum, c.read, c.build.SHA256)
		}
	}
	return n, err
}

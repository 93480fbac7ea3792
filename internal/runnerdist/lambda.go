package runnerdist

import (
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"time"
)

// bootstrap is the name of the program in an archive for Lambda, which its
// runtime provided.al2023 starts.
const bootstrap = "bootstrap"

// LambdaZip packs a build for AWS Lambda. The same build gives the same bytes.
func LambdaZip(b Build) ([]byte, error) {
	r, err := b.Open()
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	z := zip.NewWriter(&out)
	// A time of its own would be another archive every day; zip knows none before 1980.
	header := &zip.FileHeader{Name: bootstrap, Method: zip.Deflate, Modified: time.Date(1980, 1, 1, 0, 0, 0, 0, time.UTC)}
	header.SetMode(0o755)
	w, err := z.CreateHeader(header)
	if err == nil {
		_, err = io.Copy(w, r)
	}
	if err := errors.Join(err, r.Close()); err != nil {
		return nil, fmt.Errorf("pack the runner for linux/%s for Lambda: %w", b.Arch, err)
	}
	if err := z.Close(); err != nil {
		return nil, fmt.Errorf("pack the runner for linux/%s for Lambda: %w", b.Arch, err)
	}
	return out.Bytes(), nil
}

// LambdaSHA256 is the hash of the program in an archive that LambdaZip made; ""
// for anything else, such as an archive with more than the program in it.
func LambdaSHA256(archive []byte) string {
	z, err := zip.NewReader(bytes.NewReader(archive), int64(len(archive)))
	if err != nil || len(z.File) != 1 || z.File[0].Name != bootstrap || z.File[0].Mode() != 0o755 {
		return ""
	}
	r, err := z.File[0].Open()
	if err != nil {
		return ""
	}
	h := sha256.New()
	_, err = io.Copy(h, r)
	if errors.Join(err, r.Close()) != nil {
		return ""
	}
	return hex.EncodeToString(h.Sum(nil))
}

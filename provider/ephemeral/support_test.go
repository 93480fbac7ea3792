package ephemeral_test

import (
	"archive/zip"
	"bytes"
	"io"
)

// unzipped is the content of every file in a zip archive, which a saved plan is.
func unzipped(data []byte) string {
	archive, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		return ""
	}
	var all []byte
	for _, f := range archive.File {
		r, err := f.Open()
		if err != nil {
			continue
		}
		content, _ := io.ReadAll(r)
		_ = r.Close()
		all = append(all, content...)
	}
	return string(all)
}

package objstore

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// Limits of a key. S3 takes 1,024 bytes; file systems take 255 per segment, and
// the directory adapter needs some of that for its temporary names.
const (
	maxKeyBytes     = 900
	maxSegmentBytes = 200
)

// ValidKey reports, as ErrInvalidKey, why a key can not be stored alike by all
// adapters: segments separated by "/", none empty, "." or "..", valid UTF-8
// without control characters.
func ValidKey(key string) error {
	bad := func(why string) error { return fmt.Errorf("%w %q: %s", ErrInvalidKey, key, why) }
	if key == "" {
		return bad("it is empty")
	}
	if len(key) > maxKeyBytes {
		return bad(fmt.Sprintf("longer than %d bytes", maxKeyBytes))
	}
	if !utf8.ValidString(key) {
		return bad("not valid UTF-8")
	}
	for _, r := range key {
		if r < 0x20 || r == 0x7f || r == '\\' {
			return bad("it has a control character or a backslash")
		}
	}
	for seg := range strings.SplitSeq(key, "/") {
		switch {
		case seg == "":
			return bad("it has an empty segment")
		case seg == "." || seg == "..":
			return bad(`it has a "." or ".." segment`)
		case len(seg) > maxSegmentBytes:
			return bad(fmt.Sprintf("a segment is longer than %d bytes", maxSegmentBytes))
		}
	}
	return nil
}

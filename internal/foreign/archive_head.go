package foreign

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// archiveHead is what an archive of pg_dump says about itself before its table of
// contents; the same in all its formats.
type archiveHead struct {
	created       time.Time // by the clock of the host, without a zone: taken as UTC
	database      string
	serverVersion string
	dumpVersion   string
}

var errShortHead = errors.New("the head of the archive is cut or damaged")

// maxHeadText bounds a text in the head, in bytes.
const maxHeadText = 1 << 10

// parseArchiveHead reads head, the first bytes of an archive or of its toc.dat.
func parseArchiveHead(head []byte) (archiveHead, error) {
	var h archiveHead
	if len(head) <= archiveFormat || string(head[:len(archiveMagic)]) != string(archiveMagic) {
		return h, errShortHead
	}
	major, minor, intSize := head[5], head[6], int(head[8])
	if major != 1 || minor < 7 || intSize < 4 || intSize > 8 {
		return h, fmt.Errorf("the archive is of format version %d.%d, which is not read here", major, minor)
	}
	rest, bad := head[archiveFormat+1:], false
	integer := func() int {
		if len(rest) < 1+intSize {
			bad = true
			return 0
		}
		v := 0
		for i := intSize; i > 0; i-- {
			v = v<<8 | int(rest[i])
		}
		if rest[0] == 1 {
			v = -v
		}
		rest = rest[1+intSize:]
		return v
	}
	text := func() string {
		n := integer()
		if n < 0 || n > maxHeadText || n > len(rest) {
			bad = bad || n >= 0
			return ""
		}
		s := string(rest[:n])
		rest = rest[n:]
		return s
	}
	if minor >= 15 { // one byte says how it is compressed, before it was a level
		if len(rest) == 0 {
			return h, errShortHead
		}
		rest = rest[1:]
	} else {
		integer()
	}
	sec, minute, hour, day, month, year, _ := integer(), integer(), integer(), integer(), integer(), integer(), integer()
	h.created = time.Date(year+1900, time.Month(month+1), day, hour, minute, sec, 0, time.UTC)
	h.database, h.serverVersion, h.dumpVersion = text(), text(), text()
	if bad {
		return h, errShortHead
	}
	return h, nil
}

// majorOf is the first number of a version such as "15.6 (Debian 15.6-0)"; 0 when
// there is none.
func majorOf(version string) int {
	digits := version[:len(version)-len(strings.TrimLeft(version, "0123456789"))]
	n, err := strconv.Atoi(digits)
	if err != nil || n > 999 {
		return 0
	}
	return n
}

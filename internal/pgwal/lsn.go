// Package pgwal knows PostgreSQL's write-ahead log from the outside: positions,
// timelines, the names of segments and history files, and what can be read out of
// a segment's bytes. It is pure: bytes and names go in, facts come out.
//
// What must not live here: where WAL is stored (package repo), how it is received
// (package postgres/replication), what an archive covers (package archive).
package pgwal

import (
	"fmt"
	"strconv"
	"strings"
)

// LSN is a position in the log, in bytes since its beginning.
type LSN uint64

// ParseLSN reads "16/B374D848", as PostgreSQL writes pg_lsn.
func ParseLSN(s string) (LSN, error) {
	high, low, ok := strings.Cut(s, "/")
	h, err := strconv.ParseUint(high, 16, 32)
	if ok && err == nil {
		var l uint64
		if l, err = strconv.ParseUint(low, 16, 32); err == nil {
			return LSN(h<<32 | l), nil
		}
	}
	return 0, fmt.Errorf("%.40q is no position in WAL: give two hexadecimal numbers with a slash between, such as 16/B374D848", s)
}

// String writes it as PostgreSQL does.
func (l LSN) String() string { return fmt.Sprintf("%X/%X", uint64(l)>>32, uint32(l)) }

// MarshalText writes it as String does, for JSON.
func (l LSN) MarshalText() ([]byte, error) { return []byte(l.String()), nil }

// UnmarshalText is the reverse of MarshalText.
func (l *LSN) UnmarshalText(text []byte) (err error) {
	*l, err = ParseLSN(string(text))
	return err
}

// Timeline is a history of a server: each promotion begins a new one. 0 is none.
type Timeline uint32

// String is the form in names of files: eight hexadecimal digits.
func (t Timeline) String() string { return fmt.Sprintf("%08X", uint32(t)) }

// ParseTimeline is the reverse of String.
func ParseTimeline(s string) (Timeline, error) {
	n, err := parseHex(s)
	if err != nil || n == 0 {
		return 0, fmt.Errorf("%.40q is no timeline: eight hexadecimal digits, such as 00000001", s)
	}
	return Timeline(n), nil
}

// parseHex reads exactly eight upper-case hexadecimal digits.
func parseHex(s string) (uint32, error) {
	if len(s) != 8 {
		return 0, strconv.ErrSyntax
	}
	var n uint32
	for _, c := range []byte(s) {
		switch {
		case c >= '0' && c <= '9':
			n = n<<4 | uint32(c-'0')
		case c >= 'A' && c <= 'F':
			n = n<<4 | uint32(c-'A'+10)
		default:
			return 0, strconv.ErrSyntax
		}
	}
	return n, nil
}

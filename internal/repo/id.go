package repo

import (
	"crypto/rand"
	"fmt"
	"strings"
	"time"
)

const (
	idTime     = "20060102T150405Z"
	idAlphabet = "abcdefghijklmnopqrstuvwxyz234567" // 32 letters: 5 bits each
	idSuffix   = 8
)

// NewID names a recovery point that started at start: the UTC second, then 8
// random characters (40 bits) so that two points of one second differ.
func NewID(start time.Time) string {
	var random [idSuffix]byte
	rand.Read(random[:])
	for i, b := range random {
		random[i] = idAlphabet[b%32]
	}
	return start.UTC().Format(idTime) + "-" + string(random[:])
}

// ParseID returns the start time that an id carries.
func ParseID(id string) (time.Time, error) {
	stamp, suffix, ok := strings.Cut(id, "-")
	start, err := time.Parse(idTime, stamp)
	if !ok || err != nil || len(suffix) != idSuffix || strings.Trim(suffix, idAlphabet) != "" {
		return time.Time{}, fmt.Errorf("%q is not the id of a recovery point (they look like 20260301T020000Z-abcdefgh)", id)
	}
	return start, nil
}

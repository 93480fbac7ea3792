package swap

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"
)

// longestName is how many bytes a name of PostgreSQL has; what is longer is cut by
// the server, silently.
const longestName = 63

const (
	besideInfix = "_restoring_"
	half        = 6 // characters of a random text, and of the check of it
)

// besideName names the database that is filled beside target:
//
//	app_restoring_k3mq7z4vd2xa
//
// The last six characters are a digest of the target's whole name and of the six
// before them. So a run knows what an earlier one left of the same target by its
// name alone, also when it died between CREATE DATABASE and whatever mark could
// come after, and takes nobody else's database for it.
func besideName(target string) string {
	random := strings.ToLower(rand.Text()[:half])
	return withSuffix(target, besideInfix+random+check(target, random))
}

// isBeside tells whether name was made by besideName(target).
func isBeside(name, target string) bool {
	at := strings.LastIndex(name, besideInfix)
	if at < 0 {
		return false
	}
	tail := name[at+len(besideInfix):]
	return len(tail) == 2*half && tail[half:] == check(target, tail[:half]) && name == withSuffix(target, name[at:])
}

func check(target, random string) string {
	sum := sha256.Sum256([]byte("pgbackup restores beside\x00" + target + "\x00" + random))
	return strings.ToLower(base32.StdEncoding.EncodeToString(sum[:]))[:half]
}

// oldName names the database that was replaced at a moment; n counts from 1, for
// another try when that name is taken.
func oldName(target string, at time.Time, n int) string { return stamped(target, "_before_", at, n) }

// keptName names a complete database that could not be put in its place.
func keptName(target string, at time.Time) string { return stamped(target, "_restored_", at, 1) }

func stamped(target, infix string, at time.Time, n int) string {
	suffix := infix + strings.ToLower(at.UTC().Format("20060102T150405Z")) // a name without quotes is one in small letters
	if n > 1 {
		suffix += fmt.Sprintf("_%d", n)
	}
	return withSuffix(target, suffix)
}

// withSuffix cuts a name, never through a character, so that the suffix fits.
func withSuffix(name, suffix string) string {
	room := longestName - len(suffix)
	if len(name) > room {
		for room > 0 && !utf8.RuneStart(name[room]) {
			room--
		}
		name = name[:room]
	}
	return name + suffix
}

package repo

import (
	"regexp"
	"strings"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/policy"
)

// family is one folder of a repository. A bucket or directory may hold folders of
// the same name that are somebody else's, so a folder's name proves nothing: ours
// is a key of the form that this program writes there.
type family struct {
	prefix string
	point  bool // what is below is part of recovery points
	ours   func(rest string) bool
}

// families are in the order in which Destroy removes them: manifests before the
// data they name. The leases come last.
var families = []family{
	{manifestsPrefix, true, func(rest string) bool { return ofPoint(strings.CutSuffix(rest, ".json")) }},
	{pointsPrefix, true, func(rest string) bool {
		path, object := cutLast(rest)
		return ofPoint(path, true) && dataObject.MatchString(object)
	}},
	{walPrefix, false, func(rest string) bool {
		_, err := parseWALKey(walPrefix + rest)
		return err == nil
	}},
	{holdsPrefix, false, func(rest string) bool { return ofMark(rest, parseMark) }},
	{condemnedPrefix, false, func(rest string) bool { return ofMark(rest, parseMark) }},
	{tiersPrefix, false, func(rest string) bool { return ofMark(rest, parseTierMark) }},
	{tombstonesPrefix, false, func(rest string) bool {
		path, is := strings.CutSuffix(rest, ".json")
		return ofPoint(path, is) && !strings.Contains(path, "~")
	}},
	{jobsPrefix, false, jobFile.MatchString},
	{runnerPrefix, false, runnerFile.MatchString},
	{policiesPrefix, false, func(rest string) bool {
		_, _, _, err := policy.ParseRevisionKey(policiesPrefix + rest)
		return err == nil || policyClaim.MatchString(rest)
	}},
	{extendedPrefix, false, func(rest string) bool {
		source, name := cutLast(rest)
		return ofSource(source, true) && extensionFile.MatchString(name)
	}},
	{drillsPrefix, false, func(rest string) bool {
		_, is := parseDrillKey(drillsPrefix + rest)
		return is
	}},
	{auditPrefix, false, func(rest string) bool {
		id, is := strings.CutSuffix(rest, ".json")
		_, err := ParseID(id)
		return is && err == nil
	}},
	{protectionPrefix, false, protectionFile.MatchString},
	{keysPrefix, false, keyFile.MatchString},
	{locksPrefix, false, func(rest string) bool {
		return ofSource(strings.CutSuffix(rest, ".json")) || probeFile.MatchString(rest)
	}},
}

// The forms of keys that no parser of this package reads. Those below jobs/ and
// runner/ are written by the provider: see packages job and runnerdist.
var (
	dataObject     = regexp.MustCompile(`^[a-z0-9-][a-z0-9.-]*\.[0-9]{4,}$`)
	extensionFile  = regexp.MustCompile(`^[0-9]{8}T[0-9]{6}Z-[a-z2-7]{8}\.json$`)
	protectionFile = regexp.MustCompile(`^[0-9]{6}\.json$`)
	keyFile        = regexp.MustCompile(`^[1-9][0-9]*\.json$`)
	probeFile      = regexp.MustCompile(`^probe-[a-z2-7]{12}$`)
	policyClaim    = regexp.MustCompile(`^[a-z0-9-]{1,63}/[0-9]{6}\.claim$`)
	jobFile        = regexp.MustCompile(`^[a-z0-9-]{1,63}/[0-9a-f]{64}\.json$`)
	runnerFile     = regexp.MustCompile(`^[0-9a-f]{64}/(linux_[a-z0-9]+/pgbackup-runner|lambda_[a-z0-9]+\.zip|used-by/[a-z0-9-]{1,63}/[a-z_]+-[0-9a-f]{64})$`)
)

// ofPoint reports whether a path is <source>/<kind>/<id>[~<parent>]; is tells
// whether what was cut off it was there.
func ofPoint(path string, is bool) bool {
	ref, err := parsePath(path)
	return is && err == nil && CheckSource(ref.Source) == nil && validKind(ref.Kind) && ref.familyPath() == path
}

func ofMark(rest string, parse func(name string) (int, string, error)) bool {
	path, name := cutLast(rest)
	_, _, err := parse(name)
	return err == nil && ofPoint(path, true) && !strings.Contains(path, "~")
}

func ofSource(segment string, is bool) bool {
	source, err := unescape(segment)
	return is && err == nil && CheckSource(source) == nil
}

// familyOf is the family that a key lies in and would have to be one of.
func familyOf(key string) (f family, rest string, ok bool) {
	for _, f := range families {
		if rest, ok := strings.CutPrefix(key, f.prefix); ok {
			return f, rest, true
		}
	}
	return family{}, "", false
}

// Owns reports whether a key of a store, without the repository's prefix, is one
// that a repository writes, so that who removes what is left of one leaves the rest.
func Owns(key string) bool {
	f, rest, ok := familyOf(key)
	return ok && f.ours(rest) || key == repositoryKey
}

// OwnsPoint reports whether a key, without the repository's prefix, is part of a
// recovery point.
func OwnsPoint(key string) bool {
	f, rest, ok := familyOf(key)
	return ok && f.point && f.ours(rest)
}

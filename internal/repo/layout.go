package repo

import (
	"fmt"
	"net/url"
	"strings"
	"unicode/utf8"
)

// Prefixes of the layout. Everything of a source is below its escaped name.
const (
	repositoryKey    = "repository.json"
	keysPrefix       = "keys/"
	policiesPrefix   = "policies/"
	manifestsPrefix  = "manifests/"
	pointsPrefix     = "points/"
	walPrefix        = "wal/"
	holdsPrefix      = "holds/"
	condemnedPrefix  = "condemned/"
	tiersPrefix      = "tiers/"
	tombstonesPrefix = "tombstones/"
	locksPrefix      = "locks/"
	jobsPrefix       = "jobs/"
	runnerPrefix     = "runner/"
	protectionPrefix = "protection/"
	extendedPrefix   = "extended/"
	drillsPrefix     = "drills/"
	auditPrefix      = "audit/"
)

// maxSourceBytes bounds the escaped name: it is one segment of a key.
const maxSourceBytes = 180

// CheckSource says why a name can not be that of a source. A source is what is
// backed up: "app@db1.example.org", "shop".
func CheckSource(source string) error {
	switch {
	case source == "":
		return fmt.Errorf("source name is empty: give --source NAME")
	case !utf8.ValidString(source):
		return fmt.Errorf("source name %q is not valid UTF-8", source)
	case strings.ContainsFunc(source, func(r rune) bool { return r < 0x20 || r == 0x7f }):
		return fmt.Errorf("source name %q has a control character", source)
	case len(escape(source)) > maxSourceBytes:
		return fmt.Errorf("source name %q is too long: its escaped form has %d bytes, %d are allowed; give a shorter --source NAME", source, len(escape(source)), maxSourceBytes)
	}
	return nil
}

// escape makes one key segment of a name: letters, digits and . _ - @ + = stay,
// every other byte becomes %XX. A name of dots only is escaped whole.
func escape(name string) string {
	var b strings.Builder
	dots := strings.Trim(name, ".") == ""
	for i := 0; i < len(name); i++ {
		c := name[i]
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9',
			c == '_', c == '-', c == '@', c == '+', c == '=', c == '.' && !dots:
			b.WriteByte(c)
		default:
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}

func unescape(segment string) (string, error) {
	name, err := url.PathUnescape(segment)
	if err != nil || escape(name) != segment {
		return "", fmt.Errorf("key segment %q is not an escaped name", segment)
	}
	return name, nil
}

// Ref names a recovery point. Parent is the point an incremental builds on.
type Ref struct {
	Source string
	Kind   string
	ID     string
	Parent string
}

func (r Ref) String() string { return r.Source + "/" + r.Kind + "/" + r.ID }

// path is what the keys of a point's marks share: <source>/<kind>/<id>.
func (r Ref) path() string { return escape(r.Source) + "/" + escape(r.Kind) + "/" + r.ID }

// ManifestKey is the key of the point's commit marker.
func (r Ref) ManifestKey() string { return manifestsPrefix + r.familyPath() + ".json" }

// DataPrefix is what the keys of the point's data objects begin with. It names
// the parent as the manifest's key does: whoever finds data without a manifest
// must know the exact key at which to fence it off.
func (r Ref) DataPrefix() string { return pointsPrefix + r.familyPath() + "/" }

// familyPath is path with the parent: <source>/<kind>/<id>[~<parent>].
func (r Ref) familyPath() string {
	if r.Parent == "" {
		return r.path()
	}
	return r.path() + "~" + r.Parent
}

// parseManifestKey is the reverse of ManifestKey.
func parseManifestKey(key string) (Ref, error) { return parseKey(key, manifestsPrefix) }

// parseKey reads <family><source>/<kind>/<id>[~<parent>].json.
func parseKey(key, family string) (Ref, error) {
	rest, ok := strings.CutPrefix(key, family)
	if !ok {
		return Ref{}, fmt.Errorf("key %q is not below %s", key, family)
	}
	name, ok := strings.CutSuffix(rest, ".json")
	if !ok {
		return Ref{}, fmt.Errorf("key %q does not end in .json", key)
	}
	r, err := parsePath(name)
	if err != nil {
		return Ref{}, fmt.Errorf("key %q: %w", key, err)
	}
	return r, nil
}

// parsePath reads <source>/<kind>/<id>[~<parent>]. What could be read of it is
// returned even with an error: a stranger's file still has a source to report.
func parsePath(path string) (Ref, error) {
	parts := strings.Split(path, "/")
	var r Ref
	var err error
	if r.Source, err = unescape(parts[0]); err != nil {
		return r, err
	}
	if len(parts) != 3 {
		return r, fmt.Errorf("%q has not the form <source>/<kind>/<id>", path)
	}
	if r.Kind, err = unescape(parts[1]); err != nil {
		return r, err
	}
	r.ID, r.Parent, _ = strings.Cut(parts[2], "~")
	if _, err = ParseID(r.ID); err != nil {
		return r, err
	}
	if r.Parent != "" {
		if _, err = ParseID(r.Parent); err != nil {
			return r, fmt.Errorf("parent: %w", err)
		}
	}
	return r, nil
}

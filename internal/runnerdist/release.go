package runnerdist

import (
	"errors"
	"fmt"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"
)

// Release names deployed runner builds: where they are and what they are. It
// holds their hashes, so that another build is another release, and a plan of
// whatever uses it shows the change.
//
//	host:/usr/local/bin/pgbackup-runner#x86_64:<sha256>
//	s3://bucket/prefix?region=eu-west-1#arm64:<sha256>,x86_64:<sha256>
type Release struct {
	Program    string            // absolute path of the program on a host, or
	Repository string            // id of the repository that has the programs
	SHA256     map[string]string // by name of the architecture as in ArchName
}

const hostScheme = "host:"

var sumPattern = regexp.MustCompile(`^[0-9a-f]{64}$`)

// String is the one written form.
func (r Release) String() string {
	where := r.Repository
	if r.Program != "" {
		where = hostScheme + r.Program
	}
	var sums []string
	for _, arch := range slices.Sorted(maps.Keys(r.SHA256)) {
		sums = append(sums, arch+":"+r.SHA256[arch])
	}
	return where + "#" + strings.Join(sums, ",")
}

// ParseRelease reads what String wrote.
func ParseRelease(s string) (Release, error) {
	i := strings.LastIndexByte(s, '#')
	if i <= 0 {
		return Release{}, errors.New("is not a release of a runner: give the release attribute of a pgbackup_runner")
	}
	r := Release{Repository: s[:i], SHA256: map[string]string{}}
	if program, ok := strings.CutPrefix(r.Repository, hostScheme); ok {
		r.Program, r.Repository = program, ""
		if !path.IsAbs(program) {
			return Release{}, fmt.Errorf("release of a runner: %q is not an absolute path", program)
		}
	}
	for item := range strings.SplitSeq(s[i+1:], ",") {
		arch, sum, _ := strings.Cut(item, ":")
		if _, err := ParseArch(arch); err != nil || !sumPattern.MatchString(sum) {
			return Release{}, fmt.Errorf("release of a runner: %.100q is not an architecture and a SHA-256", item)
		}
		r.SHA256[arch] = sum
	}
	return r, nil
}

// ArchName is the name users know an architecture by: x86_64 or arm64.
func ArchName(arch string) string {
	if arch == AMD64 {
		return "x86_64"
	}
	return arch
}

// Key of a build in a repository. It holds the hash, so that a runner that is
// being replaced and the new one stand side by side.
func (b Build) Key() string { return Key(b.SHA256, b.Arch) }

// Key of the build with that hash.
func Key(sha256, arch string) string {
	return fmt.Sprintf("runner/%s/linux_%s/pgbackup-runner", sha256, arch)
}

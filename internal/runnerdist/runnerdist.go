// Package runnerdist is where the provider gets builds of pgbackup-runner from:
// the ones embedded in it, or files that the user names instead.
//
// What lives here: finding a build for an architecture, its SHA-256 without
// unpacking it, and its bytes. What must not: where builds are taken to, which
// is the business of the provider's resources. Program pack makes the embedded
// files.
package runnerdist

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/nearest"
)

// Architectures a runner is built for, in the words of Go.
const (
	AMD64 = "amd64"
	ARM64 = "arm64"
)

// ErrNoBuild: there is no runner build for what was asked.
var ErrNoBuild = errors.New("no runner build")

// Build is one build of the runner.
type Build struct {
	Arch   string // AMD64 or ARM64
	SHA256 string // of the plain program, hexadecimal
	Size   int64  // of the plain program, in bytes

	open func() (io.ReadCloser, error)
}

// Open reads the plain program. Reading fails at the end, instead of giving
// io.EOF, when the bytes are not those of SHA256.
func (b Build) Open() (io.ReadCloser, error) {
	r, err := b.open()
	if err != nil {
		return nil, fmt.Errorf("open the runner for linux/%s: %w", b.Arch, err)
	}
	return newChecked(r, b), nil
}

// Set is the builds of one origin.
type Set struct {
	origin string // for messages: "this provider", or a path
	hint   string // what to do when a build is missing
	builds []Build
}

// Builds lists what there is, by architecture.
func (s Set) Builds() []Build { return slices.Clone(s.builds) }

// Find gives the build for an architecture, or ErrNoBuild with what to do.
func (s Set) Find(arch string) (Build, error) {
	for _, b := range s.builds {
		if b.Arch == arch {
			return b, nil
		}
	}
	if len(s.builds) == 0 {
		return Build{}, fmt.Errorf("%w: %s was built without runners; %s", ErrNoBuild, s.origin, s.hint)
	}
	return Build{}, fmt.Errorf("%w for linux/%s in %s, which has %s; %s", ErrNoBuild, arch, s.origin, s.have(), s.hint)
}

func (s Set) have() string {
	var names []string
	for _, b := range s.builds {
		names = append(names, "linux/"+b.Arch)
	}
	return strings.Join(names, " and ")
}

func (s *Set) sort() {
	slices.SortFunc(s.builds, func(a, b Build) int { return cmp.Compare(a.Arch, b.Arch) })
}

// names are the spellings of architectures that people and tools use.
var names = map[string]string{
	"x86_64": AMD64, "amd64": AMD64, "x86-64": AMD64, "x64": AMD64,
	"arm64": ARM64, "aarch64": ARM64,
}

// ParseArch reads x86_64 (or amd64) and arm64 (or aarch64).
func ParseArch(name string) (string, error) {
	if arch, ok := names[name]; ok {
		return arch, nil
	}
	return "", fmt.Errorf("unknown architecture %q%s", name, nearest.Suggestion(name, []string{"x86_64", "arm64", "amd64", "aarch64"}))
}

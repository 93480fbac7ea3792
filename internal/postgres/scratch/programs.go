package scratch

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/postgres"
)

// ErrNoServer: no server programs that would do are installed here. The text of
// what is returned says which are, and what to install.
var ErrNoServer = errors.New("PostgreSQL's server programs are not installed")

// Programs of one version of the server.
type Programs struct {
	Bin     string // directory
	Major   int
	Version string // such as 15.6
}

// FindPrograms finds the server programs to use for data of a major version: of
// that version if they are there, else of the next newer; for 0 the newest. bin
// names the only directory to look in, "" means the usual ones.
func FindPrograms(ctx context.Context, major int, bin string) (Programs, error) {
	dirs := []string{bin}
	if bin == "" {
		dirs = postgres.ProgramDirs("initdb")
	}
	var there []Programs
	for _, dir := range dirs {
		p, err := programsIn(ctx, dir)
		if ctx.Err() != nil { // programs that could not be asked are not missing
			return Programs{}, fmt.Errorf("look for PostgreSQL's server programs: %w", context.Cause(ctx))
		}
		if err == nil && !slices.ContainsFunc(there, func(o Programs) bool { return o.Major == p.Major }) {
			there = append(there, p)
		}
	}
	slices.SortFunc(there, func(a, b Programs) int { return a.Major - b.Major })
	if major == 0 && len(there) > 0 {
		return there[len(there)-1], nil
	}
	for _, p := range there {
		if p.Major >= major {
			return p, nil
		}
	}
	return Programs{}, noServer(major, bin, there)
}

// FindExactly finds the server programs of just a major version, which is the only
// one that can run its data.
func FindExactly(ctx context.Context, major int, bin string) (Programs, error) {
	p, err := FindPrograms(ctx, major, bin)
	if err == nil && p.Major != major {
		err = noServer(major, bin, []Programs{p})
	}
	return p, err
}

func noServer(major int, bin string, there []Programs) error {
	where := "where they usually are"
	switch named := os.Getenv("PGBACKUP_PG_BIN"); {
	case bin != "":
		where = "in " + bin
	case named != "":
		where = "in PGBACKUP_PG_BIN=" + named
	}
	found := "none are"
	if len(there) > 0 {
		var versions []string
		for _, p := range there {
			versions = append(versions, fmt.Sprintf("%s (in %s)", p.Version, p.Bin))
		}
		found = "there is " + strings.Join(versions, ", ")
	}
	wanted, number := "PostgreSQL", "17"
	if major > 0 {
		number = strconv.Itoa(major)
		wanted = "PostgreSQL " + number + " or newer"
	}
	return fmt.Errorf("%w: programs of a server of %s were looked for %s, and %s; install them (Debian, Ubuntu: apt-get install postgresql-%s; RHEL, Fedora: dnf install postgresql%s-server postgresql%s-contrib; or run in the image postgres:%s), or name their directory in PGBACKUP_PG_BIN",
		ErrNoServer, wanted, where, found, number, number, number, number)
}

func programsIn(ctx context.Context, dir string) (Programs, error) {
	for _, name := range []string{"initdb", "postgres"} {
		if _, err := exec.LookPath(filepath.Join(dir, name)); err != nil {
			return Programs{}, err
		}
	}
	out, err := exec.CommandContext(ctx, filepath.Join(dir, "postgres"), "--version").Output()
	if err != nil {
		return Programs{}, fmt.Errorf("%s --version: %w", filepath.Join(dir, "postgres"), err)
	}
	fields := strings.Fields(string(out)) // postgres (PostgreSQL) 15.6 (Debian 15.6-0+deb12u1)
	if len(fields) < 3 {
		return Programs{}, fmt.Errorf("%s --version: %q", filepath.Join(dir, "postgres"), out)
	}
	p := Programs{Bin: dir, Version: fields[2]}
	digits := p.Version[:len(p.Version)-len(strings.TrimLeft(p.Version, "0123456789"))]
	if p.Major, err = strconv.Atoi(digits); err != nil {
		return Programs{}, fmt.Errorf("%s --version: %q", filepath.Join(dir, "postgres"), out)
	}
	return p, nil
}

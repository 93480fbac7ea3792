// Package usemark is the marks by which a repository knows which deployments need a
// build of the runner.
//
// It stands apart from the builds, which package runnerdist carries: the runner
// itself reads marks.
package usemark

import (
	"fmt"
	"regexp"
	"strings"
)

// Use is a mark in a repository that says: this deployment of this job needs that
// build. It is an empty object beside the build, so that one listing of "runner/"
// tells which builds, and which job files, nobody needs any more.
type Use struct {
	Runner string // SHA-256 of the build
	Job    string // name of the job
	Target string // as run_on names it
	File   string // SHA-256 of the job file
}

var usePattern = regexp.MustCompile(`^runner/([0-9a-f]{64})/used-by/([^/]+)/([a-z_]+)-([0-9a-f]{64})$`)

// ended begins the target of a mark whose deployment is no more.
const ended = "ended_"

// End is the mark that takes the place of u when its deployment is no more. Runs
// that began before may still ask for the build and the job file: when the mark was
// written says when the deployment ended.
func (u Use) End() Use {
	if !u.Ended() {
		u.Target = ended + u.Target
	}
	return u
}

// Ended reports whether the deployment is no more.
func (u Use) Ended() bool { return strings.HasPrefix(u.Target, ended) }

// Key of the mark in a repository.
func (u Use) Key() string {
	return fmt.Sprintf("runner/%s/used-by/%s/%s-%s", u.Runner, u.Job, u.Target, u.File)
}

// ParseUse reads the key of a mark; ok is false for any other key.
func ParseUse(key string) (u Use, ok bool) {
	m := usePattern.FindStringSubmatch(key)
	if m == nil {
		return Use{}, false
	}
	return Use{Runner: m[1], Job: m[2], Target: m[3], File: m[4]}, true
}

// Folder is where the builds and the marks are in a repository, with a slash
// behind it.
const Folder = "runner/"

package runnerdist

import (
	"fmt"
	"path"
	"regexp"
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

// LambdaKey of the archive, for AWS Lambda, of the build with that hash.
func LambdaKey(sha256, arch string) string {
	return path.Join(Folder, sha256, "lambda_"+arch+".zip")
}

var keyPattern = regexp.MustCompile(`^runner/([0-9a-f]{64})/linux_([a-z0-9]+)/pgbackup-runner$`)

// ParseKey reads what Key wrote; ok is false for any other key.
func ParseKey(key string) (sha256, arch string, ok bool) {
	m := keyPattern.FindStringSubmatch(key)
	if m == nil {
		return "", "", false
	}
	return m[1], m[2], true
}

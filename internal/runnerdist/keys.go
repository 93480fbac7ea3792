package runnerdist

import (
	"path"
	"regexp"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/runnerdist/usemark"
)

// LambdaKey of the archive, for AWS Lambda, of the build with that hash.
func LambdaKey(sha256, arch string) string {
	return path.Join(usemark.Folder, sha256, "lambda_"+arch+".zip")
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

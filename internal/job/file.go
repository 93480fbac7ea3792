package job

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"regexp"
)

// Key is where a job's file lies in its repository. The hash of the file is a
// part of it: whoever is told the key knows the content.
func Key(name string, file []byte) string {
	sum := sha256.Sum256(file)
	return "jobs/" + name + "/" + hex.EncodeToString(sum[:]) + ".json"
}

var keyPattern = regexp.MustCompile(`(?:^|/)jobs/([^/]+)/([0-9a-f]{64})\.json$`)

// CheckFile holds a job file that was read from key against the hash in the key.
// A key without one says nothing about its content, which is no error.
func CheckFile(key string, file []byte) error {
	m := keyPattern.FindStringSubmatch(key)
	if m == nil {
		return nil
	}
	if sum := sha256.Sum256(file); hex.EncodeToString(sum[:]) != m[2] {
		return fmt.Errorf("the job file %s is not the one that was deployed: its SHA-256 is %s; somebody changed it. Apply the configuration again, and look who may write to the repository", key, hex.EncodeToString(sum[:]))
	}
	return nil
}

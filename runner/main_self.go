package main

import (
	"os"
	"regexp"
	"strings"
)

// envSelf holds the SHA-256 that this program must have, in hexadecimal. Whoever
// deploys the program sets it: then nobody runs another one in its place.
const envSelf = "PGBACKUP_RUNNER_SHA256"

// selfHash is the SHA-256 of the program that runs. Linux has it also when the
// file it was started from was replaced since.
func selfHash() (string, error) {
	path := "/proc/self/exe"
	if !exists(path) {
		var err error
		if path, err = os.Executable(); err != nil {
			return "", err
		}
	}
	return sha256Of(path)
}

var sha256Pattern = regexp.MustCompile(`^[0-9a-f]{64}$`)

// checkSelf compares this program with the hash it must have; "" demands none.
func checkSelf(want string) error {
	if want == "" {
		return nil
	}
	want = strings.ToLower(strings.TrimSpace(want))
	if !sha256Pattern.MatchString(want) {
		return usagef("%s is no SHA-256 in hexadecimal: deploy the job again, or unset the variable", envSelf)
	}
	sum, err := selfHash()
	if err != nil {
		return usagef("%s is set, but this program cannot read itself: %w", envSelf, err)
	}
	if sum != want {
		return usagef("this program is not the one that was deployed: its SHA-256 is %s, %s says %s. Nothing was run. Look who may write to where it came from, and apply the configuration again", sum, envSelf, want)
	}
	return nil
}

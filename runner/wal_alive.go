package main

import (
	"fmt"
	"os"
	"time"
)

// envAlive names a file whose time says when the receiver last said how it stands; the
// probe of a Deployment looks at it (see package kubernetes). A receiver that waits for
// another one to end has none: that is nothing to be restarted for.
const envAlive = "PGBACKUP_ALIVE_FILE"

// aliveFile is that file; "" is none.
type aliveFile string

// newAliveFile takes away what an earlier run left: its age would speak of that one.
func newAliveFile() (aliveFile, error) {
	f := aliveFile(os.Getenv(envAlive))
	if f == "" {
		return "", nil
	}
	if err := os.Remove(string(f)); err != nil && !os.IsNotExist(err) {
		return "", fmt.Errorf("%s: %w", envAlive, err)
	}
	return f, nil
}

// touch makes the file of this moment, and reports whether it could not.
func (f aliveFile) touch(now time.Time) error {
	if f == "" {
		return nil
	}
	return os.WriteFile(string(f), []byte(now.UTC().Format(time.RFC3339)+"\n"), 0o600)
}

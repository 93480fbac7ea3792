package pgwal

import (
	"fmt"
	"strings"
)

// ArchiveCommand is the text of a server's archive_command that hands each file to
// `PROGRAM wal push --job JOB`. environmentFile has NAME=value lines for the program,
// such as its credentials; "" is none, and one that is not there is passed over.
//
// Sources: PostgreSQL, "Continuous Archiving and Point-in-Time Recovery" (%p, %%), and
// system(3), by which a server runs it with /bin/sh.
func ArchiveCommand(program, job, environmentFile string) string {
	command := fmt.Sprintf("%s wal push --job %s %%p", word(program), word(job))
	if environmentFile != "" {
		file := word(environmentFile)
		command = fmt.Sprintf("if [ -r %s ]; then set -a; . %s; set +a; fi; exec %s", file, file, command)
	}
	return command
}

// word makes one word of a text for the shell, and keeps the server from reading its
// '%' as a placeholder.
func word(text string) string {
	odd := func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("/._-=:@+,%", r)
	}
	if text == "" || strings.ContainsFunc(text, odd) {
		text = "'" + strings.ReplaceAll(text, "'", `'\''`) + "'"
	}
	return strings.ReplaceAll(text, "%", "%%")
}

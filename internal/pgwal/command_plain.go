package pgwal

import "strings"

// ArchiveCommandOf is ArchiveCommand without a job: the program is told by arguments what
// a job would say.
func ArchiveCommandOf(program string, arguments ...string) string {
	words := []string{word(program), "wal", "push"}
	for _, a := range arguments {
		words = append(words, word(a))
	}
	return strings.Join(append(words, "%p"), " ")
}

package job

import (
	"slices"
	"strings"
)

// Receives tells whether the job streams WAL from a server. Such a job runs all the
// time: nothing starts it by a schedule.
func (j Job) Receives() bool { return j.Kind == KindWAL && j.WAL != nil && j.WAL.Mode == WALReceive }

// Pushes tells whether a server hands its WAL over, by archive_command. What runs by
// a schedule then looks whether all of it arrives.
func (j Job) Pushes() bool { return j.Kind == KindWAL && j.WAL != nil && j.WAL.Mode == WALPush }

// lookAtPush is what runs by the schedule of a job that pushes.
var lookAtPush = []string{"wal", "status"}

// Words is what runs the job on the runner's command line, before "--job FILE".
func (j Job) Words() []string {
	if j.Pushes() {
		return slices.Clone(lookAtPush)
	}
	return j.Kind.Words()
}

// Verb is Words without the flags in it.
func (j Job) Verb() []string { return verb(j.Words()) }

// Verbs lists what Verb is of the jobs that are started by a schedule.
func Verbs() [][]string {
	list := [][]string{lookAtPush}
	for _, k := range kinds {
		if words := verb(k.words); k.kind != KindWAL && !slices.ContainsFunc(list, func(w []string) bool { return slices.Equal(w, words) }) {
			list = append(list, words)
		}
	}
	return list
}

func verb(words []string) []string {
	if i := slices.IndexFunc(words, func(w string) bool { return strings.HasPrefix(w, "-") }); i >= 0 {
		return words[:i]
	}
	return words
}

package awsapi

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode"
)

// The tags of everything pgbackup makes in AWS.
const (
	// TagManagedBy decides what is ours: what does not carry it is never changed
	// and never removed.
	TagManagedBy = "pgbackup:managed-by"
	// TagRepository is the repository it serves, as in the dimension of metrics.
	TagRepository = "pgbackup:repository"
	// TagName is the name of the schedule, alarm or other resource it belongs to.
	TagName = "pgbackup:name"
	// TagGeneration tells apart deployments that followed each other under one
	// name: who is to remove one must not remove the next.
	TagGeneration = "pgbackup:generation"

	// Terraform is the value of TagManagedBy.
	Terraform = "terraform"
)

// OwnTags are the tags of something we make: own, and ours, which win. A part that
// is "" gets no tag; characters that the value of a tag may not have become "_".
func OwnTags(own map[string]string, repository, name string) map[string]string {
	tags := maps.Clone(own)
	if tags == nil {
		tags = map[string]string{}
	}
	for key, value := range map[string]string{TagManagedBy: Terraform, TagRepository: repository, TagName: name} {
		if value != "" {
			tags[key] = tagValue(value)
		}
	}
	return tags
}

// tagValue makes a value that every service takes: IAM is the strictest.
//
// Source: IAM API Reference, Tag.
func tagValue(value string) string {
	value = strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) || unicode.IsNumber(r) || strings.ContainsRune(" _.:/=+-@", r) {
			return r
		}
		return '_'
	}, value)
	if r := []rune(value); len(r) > 256 {
		value = string(r[:256])
	}
	return value
}

// Ours reports whether something with these tags was made by pgbackup.
func Ours(tags map[string]string) bool { return tags[TagManagedBy] == Terraform }

// CheckOurs gives ErrForeign for something with the tags of somebody else. what
// names it, such as "IAM role (pgbackup-nightly)".
func CheckOurs(what string, tags map[string]string) error {
	if Ours(tags) {
		return nil
	}
	return fmt.Errorf("%s %w: it has no tag %s = %s. Remove it or give it another name; if it is a part of this configuration that lost its tag, put the tag back", what, ErrForeign, TagManagedBy, Terraform)
}

// CheckGeneration gives ErrSuperseded for something of another generation than
// own. Things of earlier versions have none, and are anybody's: "" on either side.
func CheckGeneration(what, found, own string) error {
	if found == "" || own == "" || found == own {
		return nil
	}
	return fmt.Errorf("%s %w: its tag %s is %s and not %s", what, ErrSuperseded, TagGeneration, found, own)
}

// TagChange says how to get from the tags something has to those it should have:
// what to set, and the keys to take away. Tags of AWS itself (aws:…) are left
// alone.
func TagChange(have, want map[string]string) (set map[string]string, remove []string) {
	set = map[string]string{}
	for key, value := range want {
		if got, ok := have[key]; !ok || got != value {
			set[key] = value
		}
	}
	for key := range have {
		if _, ok := want[key]; !ok && !strings.HasPrefix(key, "aws:") {
			remove = append(remove, key)
		}
	}
	slices.Sort(remove)
	return set, remove
}

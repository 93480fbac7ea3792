package lifecycle

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/retention"
)

// prefixOfIDs is what the id of every rule of pgbackup begins with.
const prefixOfIDs = "pgbackup/"

// Owner is who a rule belongs to: one policy of one repository, or the
// repository itself. Its rules have the ids pgbackup/<name>/<part>@<place>,
// where place is a digest of the repository's prefix, so that two repositories
// with a policy of the same name share a bucket.
type Owner struct {
	name  string   // of the policy, or "repository"
	parts []string // the rules it may have
	place string
	what  string // for people
}

// allTiers is the part of a rule that is for the points of every tier.
const allTiers = "all"

const (
	partVersions = "versions"
	partUploads  = "uploads"
)

// Policy is the owner of the rules of a policy. keyPrefix is the prefix of its
// repository in the bucket, "" for the whole bucket.
func Policy(name, keyPrefix string) Owner {
	return Owner{name: name, parts: append([]string{allTiers}, retention.Tiers()...), place: place(keyPrefix), what: fmt.Sprintf("policy %q", name)}
}

// Repository is the owner of a repository's own rules. A policy may be called
// "repository" too: the two have other parts.
func Repository(keyPrefix string) Owner {
	what := fmt.Sprintf("the repository below %q", keyPrefix)
	if keyPrefix == "" {
		what = "the repository of the whole bucket"
	}
	return Owner{name: "repository", parts: []string{partVersions, partUploads}, place: place(keyPrefix), what: what}
}

func place(keyPrefix string) string {
	sum := sha256.Sum256([]byte(strings.Trim(keyPrefix, "/")))
	return hex.EncodeToString(sum[:4])
}

// String names the owner for people.
func (o Owner) String() string { return o.what }

// Owns reports whether the rule of that id belongs to o.
func (o Owner) Owns(id string) bool {
	return slices.ContainsFunc(o.parts, func(part string) bool { return o.id(part) == id })
}

func (o Owner) id(part string) string {
	return prefixOfIDs + o.name + "/" + part + "@" + o.place
}

// OfRepository gives the rules a repository has of its own: versions that are no
// longer current end after noncurrentDays, unfinished uploads after abortDays; 0
// leaves either out. keyPrefix is the repository's prefix in the bucket, "" for
// the whole of it.
func OfRepository(keyPrefix string, noncurrentDays, abortDays int) []Rule {
	o := Repository(keyPrefix)
	var rules []Rule
	if noncurrentDays > 0 {
		rules = append(rules, Rule{ID: o.id(partVersions), Prefix: below(keyPrefix, ""), NoncurrentDays: noncurrentDays})
	}
	if abortDays > 0 {
		rules = append(rules, Rule{ID: o.id(partUploads), Prefix: below(keyPrefix, ""), AbortDays: abortDays})
	}
	return rules
}

// below joins the repository's prefix and a folder in it. The slash after the
// prefix keeps the rules for prod away from prod2.
func below(keyPrefix, folder string) string {
	if keyPrefix = strings.Trim(keyPrefix, "/"); keyPrefix == "" {
		return folder
	}
	return keyPrefix + "/" + folder
}

package repo

import "strings"

// families are the folders of a repository, in the order in which Destroy removes
// them: manifests before the data they name. The leases come last.
var families = []string{manifestsPrefix, pointsPrefix, "wal/", holdsPrefix, condemnedPrefix, tiersPrefix, tombstonesPrefix, "drills/", auditPrefix, "jobs/", "runner/", policiesPrefix, extendedPrefix, protectionPrefix, keysPrefix}

// Owns reports whether a key of a store, without the repository's prefix, is one
// of a repository, so that who removes what is left of one leaves the rest.
func Owns(key string) bool {
	if key == repositoryKey || strings.HasPrefix(key, locksPrefix) {
		return true
	}
	for _, family := range families {
		if strings.HasPrefix(key, family) {
			return true
		}
	}
	return false
}

// OwnsPoint reports whether a key, without the repository's prefix, is part of a
// recovery point.
func OwnsPoint(key string) bool {
	for _, family := range []string{manifestsPrefix, pointsPrefix, "wal/"} {
		if strings.HasPrefix(key, family) {
			return true
		}
	}
	return false
}

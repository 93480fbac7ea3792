// Package repo is a backup repository on an object store: its layout, the
// recovery points in it, and the protocol by which they come and go.
//
// The nouns:
//
//	Repository  one repository.json, its key, its store
//	Ref         the name of a recovery point: source, kind, id
//	Manifest    the commit marker of a point; a point exists when it does
//	Point       an opened point, to read its streams
//	PointWriter a point being made
//	Index       where the parts of an archive lie in a point's chunks
//	Lease       the right to change one source
//	Mark        a hold, a condemnation or a tier: small write-once facts
//	WALArchive  the log of one server: its files and pieces of files, each written once
//	Tombstone   what is left of a deleted point
//	History     every point there is or was, with its marks, at any moment
//
// What must not live here: what to keep (package retention), what is in an
// archive (package postgres/pgarchive), and how objects are stored (objstore).
//
// The layout is documented for readers without this program in
// docs/guides/repository-format.
package repo

import "errors"

// Errors a caller may test for with errors.Is.
var (
	// ErrNoRepository: there is no repository.json at that place.
	ErrNoRepository = errors.New("no repository here")
	// ErrExists: a repository is already there.
	ErrExists = errors.New("a repository is already there")
	// ErrNewerFormat: written by a newer pgbackup than this one.
	ErrNewerFormat = errors.New("written in a newer format")
	// ErrNoKey: the repository is sealed and no key was given.
	ErrNoKey = errors.New("the repository is encrypted and no key was given")
	// ErrNotSealed: a key was given for it; see OpenOptions.Sealed.
	ErrNotSealed = errors.New("a key was given but the repository is not encrypted")
	// ErrNotFound: no such recovery point, policy or object.
	ErrNotFound = errors.New("not found")
	// ErrAmbiguous: an abbreviation fits several recovery points.
	ErrAmbiguous = errors.New("ambiguous")
	// ErrDamaged: stored bytes are not what was written.
	ErrDamaged = errors.New("damaged")
	// ErrFenced: this backup was declared abandoned while it ran (its lease was
	// lost); it must not become visible.
	ErrFenced = errors.New("this backup was declared abandoned by another run")
	// ErrLocked: somebody else holds the lease.
	ErrLocked = errors.New("locked")
	// ErrLeaseLost: the lease could not be renewed in time.
	ErrLeaseLost = errors.New("lease lost")
)

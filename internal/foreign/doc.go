// Package foreign reads what other programs wrote: dumps of pg_dump and
// pg_dumpall in all their formats, compressed or encrypted by gzip, zstd, bzip2
// and openssl enc in any order, from a path, a bucket or a web server.
//
// What lives here: finding out by the content what a file is, taking its wrappings
// off while it streams, and loading it into a database. What must not:
// repositories and recovery points (the engines), flags and printing (the faces).
//
// Nothing in such a file is trusted, and nothing proves what is in it: a name ends
// in a folder of ours or nowhere, sizes are bounded, and the commands that psql
// would obey are refused. Its SQL is run, as it must be: whoever could write the
// file decides what happens in the database, and with the rights of a superuser
// on its server.
package foreign

import "errors"

// Errors for errors.Is.
var (
	// ErrUnknown: the content is not of a format that is read here.
	ErrUnknown = errors.New("it is no dump of PostgreSQL that is known")
	// ErrNoPassphrase: the file is encrypted, and there is no passphrase.
	ErrNoPassphrase = errors.New("the file is encrypted and no passphrase is given")
	// ErrPassphrase: nothing that is known comes out with the passphrase.
	ErrPassphrase = errors.New("the passphrase is wrong, or the file was changed or holds something else")
	// ErrTruncated: the file ends before its end.
	ErrTruncated = errors.New("the file is cut short")
	// ErrHostile: something in the file is there to do harm, or may as well be.
	ErrHostile = errors.New("the file is refused")
	// ErrSeveralDatabases: the file holds several, and none is chosen.
	ErrSeveralDatabases = errors.New("the file holds several databases")
	// ErrNoSuchDatabase: the file does not hold the one that is chosen.
	ErrNoSuchDatabase = errors.New("the file does not hold that database")
	// ErrMissingRoles: the server lacks roles that the file names.
	ErrMissingRoles = errors.New("the server lacks roles that own things in the file or have rights on them")
	// ErrMissingExtensions: the server lacks extensions that the file creates.
	ErrMissingExtensions = errors.New("the server lacks extensions that the file needs")
	// ErrChanged: the file was not the same when it was read again.
	ErrChanged = errors.New("the file changed between two readings")
)

// Package postgres talks to a PostgreSQL server and runs its own client
// programs: connecting, finding the tools, holding a snapshot, dumping,
// checking, restoring, and fingerprinting what was restored.
//
// What lives here: everything that knows SQL or the command line of a
// PostgreSQL program. What must not: repositories, manifests, compression,
// retention. The archive format itself is in pgarchive below.
package postgres

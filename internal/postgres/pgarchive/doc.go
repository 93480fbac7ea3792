// Package pgarchive reads the custom archive format of pg_dump (-Fc -Z0) from a
// byte stream, checks its structure to the last byte, and computes rows, bytes
// and a content hash of every table while the bytes pass by.
//
// What lives here: the format (header, table of contents, data blocks), the
// hash of a table, and taking COPY text out of a range of an archive. What must
// not: connections, processes, files, and anything about repositories.
//
// # The format
//
// Archive versions 1.12 to 1.16 (PostgreSQL 10 to 18) are read. An integer is a
// sign byte and IntSize bytes, least significant first; a string is an integer
// length (-1 = NULL) and its bytes. After header and table of contents come the
// data entries, each a type byte (1 data, 3 large objects), the entry's dump id
// and [length][bytes] blocks ended by a zero length. The data of a table is COPY
// text and ends with the line `\.` and two empty lines. Nothing marks the end of
// an archive: it has ended when every entry that had a dumper was seen.
//
// # The hash of a table
//
// The sum, modulo 2^128, of the XXH3-128 (seed 0) of every row, where a row is
// its COPY text line without the newline. Neither the order of rows nor the
// division into blocks changes it; a lost, doubled or changed row does. It finds
// accidents, not attackers: XXH3 is not a cryptographic hash.
//
// Large objects are hashed likewise: the sum, over the objects, of the XXH3-128
// of the object's oid (4 bytes, little endian) followed by its content.
package pgarchive

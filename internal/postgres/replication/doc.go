// Package replication speaks PostgreSQL's physical replication protocol: who the
// server is, its replication slots and timelines, its log as a stream, and base
// backups.
//
// What lives here: the commands and messages of the protocol as functions and
// values. What must not: where what is received goes, when to try again, and what
// any of it is for (packages wal/receive and backup/physical).
package replication

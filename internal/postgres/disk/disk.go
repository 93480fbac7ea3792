// Package disk looks at the disks that servers of ours, or restored ones, lie on.
//
// What lives here: how much room there is. What must not: how much is needed, and what
// to say when it is not there.
package disk

// Package proof holds the engines against what can happen to a stored backup:
// every kind of damage, at every region of a recovery point, must be found by
// verify, by restore and by a drill, and nothing that is damaged may be restored
// silently.
//
// What lives here: tests that need all engines at once. What must not: code that
// the product runs, and tests of one package alone.
package proof

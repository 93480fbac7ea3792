// Package bench measures the product against the old way and against the limit,
// in one run on one machine, as ratios: the numbers of the README. It is built
// only with the tag bench and started by `make bench MB=1024`. TestBench makes the
// rows about backups and decisions, TestRestores those about restores and drills,
// TestSchedules those about a hundred schedules on AWS; `make bench
// RUN=TestSchedules` makes only these.
//
// Every pair is run alternately, several times; the median counts. Nothing here
// asserts a time: machines are noisy.
package bench

// Package metric names the numbers that runs publish and alarms watch. Both sides
// take them from here, so that no alarm waits for a number nobody sends.
//
// It is pure. What must not live here: sending (package observe) and the maths of
// alarms (package alarm).
package metric

import "github.com/pgbackup/terraform-provider-pgbackup/internal/job"

// Namespace of all of them in CloudWatch.
const Namespace = "pgbackup"

// Name of a number.
type Name string

// The numbers. Each is published once at the end of a run; what a run does not
// know it does not publish.
const (
	// Succeeded is 1 for a run that did all it should (exit code 0 or 3), else 0.
	Succeeded Name = "Succeeded"
	// Failed is 1 for a run that did not, else 0.
	Failed Name = "Failed"
	// Duration of the run.
	Duration Name = "Duration"
	// StoredBytes of the points a run made, all sources together.
	StoredBytes Name = "StoredBytes"
	// PlainBytes is the same before compression.
	PlainBytes Name = "PlainBytes"
	// RepositoryBytes is everything below the repository's points.
	RepositoryBytes Name = "RepositoryBytes"
	// RecoveryPoints is how many there are under the policy.
	RecoveryPoints Name = "RecoveryPoints"
	// Age of the newest verified point of the source that is furthest behind.
	Age Name = "Age"
	// DrillCouldNotRun is 1 for a drill that says nothing about the backup.
	DrillCouldNotRun Name = "DrillCouldNotRun"
	// WALLag is how long ago the newest archived WAL was written.
	WALLag Name = "WALLag"
)

// Unit of a number, as CloudWatch spells it.
func (n Name) Unit() string {
	switch n {
	case Duration, Age, WALLag:
		return "Seconds"
	case StoredBytes, PlainBytes, RepositoryBytes:
		return "Bytes"
	}
	return "Count"
}

// The names of dimensions. Every number is published under {Repository, Policy}
// and under {Repository, Policy, Job}; those about points also under {Repository,
// Policy, Job, Source}.
const (
	DimensionRepository = "Repository"
	DimensionPolicy     = "Policy"
	DimensionJob        = "Job"
	DimensionSource     = "Source"
)

// Repository is the value of the dimension Repository for a place: short, and
// known at plan. Where the endpoint or region of a bucket is written differently
// it is still the same.
func Repository(at job.RepositoryURL) string {
	return job.RepositoryURL{Directory: at.Directory, Bucket: at.Bucket, Prefix: at.Prefix}.String()
}

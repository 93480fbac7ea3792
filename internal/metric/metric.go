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
	// Under {Repository, Policy} it is that of backups only: a rotation that went
	// well must not keep the alarm of a backup that did not happen from firing.
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
	// Age of the newest verified point of the source that is furthest behind. For a
	// source without one, and where there is no point at all, it counts from when
	// the first revision of the policy was made: silence from the beginning is
	// silence too.
	Age Name = "Age"
	// SizeRatio is how large a new point is in percent of the median of the seven
	// before it of its source; there is none for the first three points. A run
	// publishes one value for each of its sources.
	SizeRatio Name = "SizeRatio"
	// DrillAge is how long ago the drill that is furthest behind proved a backup: of
	// the jobs of kind drill under the policy, each of its sources by itself. One that
	// never did is as old as the policy; where no drill ever reported there is none.
	DrillAge Name = "DrillAge"
	// Armed is 1 at the moment an alarm was made. Without it an alarm that waits
	// for a first run would begin by ringing.
	Armed Name = "Armed"
	// DrillCouldNotRun is 1 for a run of drills of which one says nothing about its
	// backup, else 0. A backup that was found bad is Failed alone.
	DrillCouldNotRun Name = "DrillCouldNotRun"
	// WALLag is how long ago the newest archived WAL was written.
	WALLag Name = "WALLag"
	// WALGaps is how many gaps the archived WAL has since the oldest base backup that
	// is kept: moments inside of them cannot be recovered to.
	WALGaps Name = "WALGaps"
)

// Unit of a number, as CloudWatch spells it.
func (n Name) Unit() string {
	switch n {
	case Duration, Age, DrillAge, WALLag:
		return "Seconds"
	case SizeRatio:
		return "Percent"
	case StoredBytes, PlainBytes, RepositoryBytes:
		return "Bytes"
	}
	return "Count"
}

// The names of dimensions. Every number is published under {Repository, Policy}
// and under {Repository, Policy, Job}, but see Succeeded; StoredBytes and PlainBytes
// of the points of a run, and the Age that a look at all sources found, also under
// {Repository, Policy, Job, Source}. A job without a policy leaves that one out.
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

package iampolicy

import (
	"path"
	"strings"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/job"
)

// Families of objects in a repository, see the package repo.
const (
	points     = "points/*"
	manifests  = "manifests/*"
	locks      = "locks/*"
	tombstones = "tombstones/*"
	condemned  = "condemned/*"
	tiers      = "tiers/*"
	extended   = "extended/*"
	protection = "protection/*"
	keys       = "keys/*"
	repository = "repository.json"
	drills     = "drills/*"
	wal        = "wal/*"
	pieces     = "wal/*.piece-*" // of segments that were not finished yet
)

// facts of a repository: all that is small and says what there is, without the
// points themselves.
var facts = []string{repository, keys, "policies/*", manifests, locks, "holds/*", condemned, tombstones, tiers, protection, extended, drills}

// access is what a job of one kind does to the objects of its repository.
type access struct {
	read    []string
	write   []string
	remove  []string
	tag     bool     // points are put into tiers, which are tags
	uploads bool     // unfinished ones of dead runs are cleared
	aborts  []string // whose own uploads are ended when they fail
	locked  []string // what is written locked
	extends bool     // locks of what is kept are extended, and of what all points need
}

// accessOf a job; locked says that points are.
func accessOf(j job.Job, locked bool) access {
	var a access
	switch j.Kind {
	case job.KindFreshness:
		a = access{read: facts}
	case job.KindVerify:
		a = access{read: append([]string{points, wal}, facts...), write: []string{condemned}}
	case job.KindWAL:
		// What was archived is never written over and never deleted: rotation is of those
		// who make base backups.
		a = access{read: append([]string{wal}, facts...), write: []string{wal}, aborts: []string{wal}, locked: when(locked, wal)}
		if !j.Pushes() {
			// A receiver holds a lease, and clears the pieces of a segment that is whole.
			a.write, a.remove = append(a.write, locks), []string{pieces}
		}
	case job.KindDrill:
		// Of the replica's points nothing is said here: forReplica reads them.
		a = access{read: facts, write: []string{drills, condemned}}
		if !fromReplica(j) {
			a.read = append([]string{points}, facts...)
			if recovers(j) {
				a.read = append(a.read, wal)
			}
		}
	case job.KindRotate:
		a = access{
			read: append([]string{wal}, facts...), write: []string{manifests, locks, tombstones, tiers}, remove: []string{manifests, points, tiers, wal},
			tag: true, uploads: true, locked: when(locked, manifests, points, wal), extends: locked,
		}
	default:
		// A backup looks after its own writes when an answer was lost, and clears
		// what dead runs of the same source left.
		a = access{
			read: append([]string{points}, facts...), write: []string{points, manifests, locks}, remove: []string{manifests, points, tiers},
			tag: j.Policy != "", uploads: true, locked: when(locked, manifests, points),
		}
		continuous := j.Kind == job.KindPhysical // which looks whether the WAL it needs is there
		if continuous {
			a.read = append(a.read, wal)
		}
		if j.Policy != "" && j.RotateAfter() {
			a.write = append(a.write, tombstones, tiers)
			a.extends = locked
			if continuous {
				a.remove, a.locked = append(a.remove, wal), append(a.locked, when(locked, wal)...)
			}
		}
	}
	if a.extends {
		a.write = append(a.write, extended)
	}
	return a
}

// when gives families where a condition holds.
func when(is bool, families ...string) []string {
	if !is {
		return nil
	}
	return families
}

// forRepository is the access to S3, and to the key its bucket is encrypted with.
func forRepository(j job.Job, at job.RepositoryURL, target string, f Facts) Document {
	a := accessOf(j, f.ObjectLock)
	at.Prefix = literal(at.Prefix)
	a.read = append([]string{"jobs/" + j.Name + "/*"}, a.read...)
	if target != lambda { // there the program is the function's code
		a.read = append(a.read, "runner/*")
	}
	arns := func(families []string) []string {
		var list []string
		for _, family := range families {
			list = append(list, f.bucketARN(path.Join(at.Bucket, at.Prefix, family)))
		}
		return list
	}
	bucket := []string{f.bucketARN(at.Bucket)}
	list := Statement{Sid: "ListRepository", Actions: []string{"s3:ListBucket"}, Resources: bucket}
	if at.Prefix != "" {
		list.Conditions = map[string]map[string][]string{"StringLike": {"s3:prefix": {at.Prefix + "/*"}}}
	}
	d := Document{Statements: []Statement{list, {Sid: "ReadRepository", Actions: []string{"s3:GetObject"}, Resources: arns(a.read)}}}
	add := func(sid string, resources []string, actions ...string) {
		d.Statements = append(d.Statements, Statement{Sid: sid, Actions: actions, Resources: resources})
	}
	if j.Kind == job.KindVerify || j.Kind == job.KindDrill && !fromReplica(j) {
		// Points are read by the version that their manifest names.
		add("ReadVersions", arns([]string{points}), "s3:GetObjectVersion")
		if thaws(j) {
			add("ThawPoints", arns([]string{points}), "s3:RestoreObject")
		}
	}
	if len(a.write) > 0 {
		add("WriteRepository", arns(a.write), "s3:PutObject")
	}
	if len(a.remove) > 0 {
		add("DeletePoints", arns(a.remove), "s3:DeleteObject")
	}
	if a.tag {
		add("TagPoints", arns([]string{points}), "s3:GetObjectTagging", "s3:PutObjectTagging")
	}
	switch {
	case len(a.locked) == 0:
	case j.Kind == job.KindWAL: // which looks at no lock that is there
		add("LockWAL", arns(a.locked), "s3:PutObjectRetention")
	default:
		add("LockPoints", arns(a.locked), "s3:GetObjectRetention", "s3:PutObjectRetention")
	}
	if len(a.locked) > 0 && !a.extends && j.Kind != job.KindWAL {
		// A HEAD tells of a lock only who may ask for it: that the repository itself is
		// locked while nothing declares it is how a removed declaration is noticed.
		add("SeeLock", arns([]string{repository}), "s3:GetObjectRetention")
	}
	if a.extends {
		// The right to lock longer. Nothing here may shorten a lock or go round it.
		add("LockRepository", arns([]string{keys, protection, repository}), "s3:GetObjectRetention", "s3:PutObjectRetention")
	}
	if a.uploads {
		// Uploads are listed bucket by bucket: the call can be bound to no prefix.
		add("ListUploads", bucket, "s3:ListBucketMultipartUploads")
		add("AbortUploads", arns([]string{points}), "s3:AbortMultipartUpload")
	}
	if len(a.aborts) > 0 { // segments of a server can have up to 1 GiB
		add("AbortUploads", arns(a.aborts), "s3:AbortMultipartUpload")
	}
	if f.BucketKMSKey != "" {
		// Every kind reads; who writes needs a new data key too.
		use := throughS3("UseBucketKey", "kms:Decrypt", f.BucketKMSKey, regionOf(f.BucketKMSKey, f.Region),
			[]string{f.bucketARN(at.Bucket), f.bucketARN(path.Join(at.Bucket, at.Prefix, "*"))})
		if len(a.write) > 0 {
			use.Actions = append(use.Actions, "kms:GenerateDataKey")
		}
		d.Statements = append(d.Statements, use)
	}
	return d
}

// regionOf an ARN, or fallback where it names none.
func regionOf(arn, fallback string) string {
	if parts := strings.SplitN(arn, ":", 6); len(parts) == 6 && parts[3] != "" {
		return parts[3]
	}
	return fallback
}

package iampolicy

import (
	"fmt"
	"path"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/job"
)

func fromReplica(j job.Job) bool { return j.Drill != nil && j.Drill.From == job.FromReplica }

// thaws: bringing points back from an archive class is for drills that may.
func thaws(j job.Job) bool { return j.Drill != nil && j.Drill.Archived }

// recovers: base backups are drilled, with the WAL that follows them.
func recovers(j job.Job) bool { return j.Drill != nil && j.Drill.Kind == string(job.KindPhysical) }

// forReplica lets a drill of the copy in another region read it, and nothing else:
// what it finds is written to the primary.
func forReplica(j job.Job, f Facts) (Document, error) {
	if !fromReplica(j) {
		return Document{}, nil
	}
	at, err := job.ParseRepository(j.Replica)
	if err != nil {
		return Document{}, fmt.Errorf("replica %w", err)
	}
	if at.IsDirectory() {
		return Document{}, nil
	}
	prefix := literal(at.Prefix)
	object := func(family string) string { return f.bucketARN(path.Join(at.Bucket, prefix, family)) }
	list := Statement{Sid: "ListReplica", Actions: []string{"s3:ListBucket"}, Resources: []string{f.bucketARN(at.Bucket)}}
	if prefix != "" {
		list.Conditions = map[string]map[string][]string{"StringLike": {"s3:prefix": {prefix + "/*"}}}
	}
	read := Statement{Sid: "ReadReplica", Actions: []string{"s3:GetObject"}, Resources: []string{object(points)}}
	for _, family := range facts {
		read.Resources = append(read.Resources, object(family))
	}
	if recovers(j) {
		read.Resources = append(read.Resources, object(wal))
	}
	d := Document{Statements: []Statement{list, read, {Sid: "ReadReplicaVersions", Actions: []string{"s3:GetObjectVersion"}, Resources: []string{object(points)}}}}
	if thaws(j) {
		d.Statements = append(d.Statements, Statement{Sid: "ThawReplica", Actions: []string{"s3:RestoreObject"}, Resources: []string{object(points)}})
	}
	// The key of that bucket is nowhere said. What S3 decrypts with it on the job's
	// behalf is bound to the objects of this bucket.
	region := at.Region
	if region == "" {
		region = f.Region
	}
	d.Statements = append(d.Statements, throughS3("UseReplicaKey", "kms:Decrypt", f.arn("kms", region, "key/*"), region, []string{f.bucketARN(at.Bucket), f.bucketARN(path.Join(at.Bucket, prefix, "*"))}))
	return d, nil
}

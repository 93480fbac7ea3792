package iampolicy

import "strings"

// ForSchedulerECS lets EventBridge Scheduler start tasks of one family in one
// cluster, and hand them their roles. taskFamilyARN is that of the task definition
// without a revision: a new revision needs no new policy.
func ForSchedulerECS(taskFamilyARN, clusterARN string, roles ...string) Document {
	return Document{Statements: []Statement{
		{
			Sid: "RunTask", Actions: []string{"ecs:RunTask"}, Resources: []string{taskFamilyARN + ":*"},
			Conditions: map[string]map[string][]string{"ArnEquals": {"ecs:cluster": {clusterARN}}},
		},
		{
			Sid: "PassRoles", Actions: []string{"iam:PassRole"}, Resources: roles,
			Conditions: map[string]map[string][]string{"StringEquals": {"iam:PassedToService": {"ecs-tasks.amazonaws.com"}}},
		},
	}}
}

// ForSchedulerLambda lets EventBridge Scheduler invoke one function.
func ForSchedulerLambda(functionARN string) Document {
	return Document{Statements: []Statement{{
		Sid: "Invoke", Actions: []string{"lambda:InvokeFunction"}, Resources: []string{functionARN},
	}}}
}

// ForDeadLetter lets EventBridge Scheduler put what it could not start into a
// queue. It belongs to the same role as ForSchedulerECS or ForSchedulerLambda.
func ForDeadLetter(queueARN string) Document {
	return Document{Statements: []Statement{{
		Sid: "DeadLetter", Actions: []string{"sqs:SendMessage"}, Resources: []string{queueARN},
	}}}
}

// ForExecution lets ECS write the log of a task, and pull its images from the
// given private repositories of ECR, by ARN. Public images need no permission.
func ForExecution(logGroupARN string, ecrRepositories ...string) Document {
	d := Document{Statements: []Statement{writeLog(logGroupARN)}}
	if len(ecrRepositories) > 0 {
		d.Statements = append(d.Statements,
			// The token is for the registry as a whole: there is no resource to name.
			Statement{Sid: "RegistryLogin", Actions: []string{"ecr:GetAuthorizationToken"}, Resources: []string{"*"}},
			Statement{Sid: "PullImages", Actions: []string{"ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"}, Resources: ecrRepositories})
	}
	return d
}

// writeLog lets streams be made in a log group that is there.
func writeLog(logGroupARN string) Statement {
	return Statement{
		Sid: "WriteLog", Actions: []string{"logs:CreateLogStream", "logs:PutLogEvents"},
		Resources: []string{strings.TrimSuffix(logGroupARN, ":*") + ":*"},
	}
}

// Replication is one rule by which S3 copies a prefix into another bucket.
type Replication struct {
	Partition string // "" is aws

	Source, SourceRegion string // bucket and its region
	SourceKMSKey         string // ARN of the key it encrypts with; "" for SSE-S3
	Prefix               string // of what is replicated, without slashes at its ends; "" is the whole bucket

	Replica, ReplicaRegion string
	ReplicaKMSKey          string // ARN; "" for SSE-S3

	ObjectLock bool // locks go along with their objects
}

// ForReplication lets S3 copy objects, their tags and their locks. It may not
// replicate deletions: what is deleted in one region stays in the other until
// that bucket's own rules expire it.
//
// Source: Amazon S3 User Guide, "Setting up permissions for live replication".
func ForReplication(r Replication) Document {
	f := Facts{Partition: r.Partition}
	below := strings.TrimPrefix(literal(r.Prefix)+"/*", "/")
	read := []string{"s3:GetObjectVersionAcl", "s3:GetObjectVersionForReplication", "s3:GetObjectVersionTagging"}
	if r.ObjectLock {
		read = append(read, "s3:GetObjectLegalHold", "s3:GetObjectRetention")
	}
	d := Document{Statements: []Statement{
		{Sid: "ReadRules", Actions: []string{"s3:GetReplicationConfiguration", "s3:ListBucket"}, Resources: []string{f.bucketARN(r.Source)}},
		{Sid: "ReadObjects", Actions: read, Resources: []string{f.bucketARN(r.Source + "/" + below)}},
		{Sid: "WriteReplica", Actions: []string{"s3:ReplicateObject", "s3:ReplicateTags"}, Resources: []string{f.bucketARN(r.Replica + "/" + below)}},
	}}
	// With a bucket key the context is the bucket's ARN, without one the object's.
	context := func(bucket string) []string {
		return []string{f.bucketARN(bucket), f.bucketARN(bucket + "/*")}
	}
	if r.SourceKMSKey != "" {
		d.Statements = append(d.Statements, throughS3("DecryptSource", "kms:Decrypt", r.SourceKMSKey, r.SourceRegion, context(r.Source)))
	}
	if r.ReplicaKMSKey != "" {
		d.Statements = append(d.Statements, throughS3("EncryptReplica", "kms:Encrypt", r.ReplicaKMSKey, r.ReplicaRegion, context(r.Replica)))
	}
	return d
}

// throughS3 lets a key be used by S3 on the caller's behalf, for one bucket.
func throughS3(sid, action, key, region string, context []string) Statement {
	return Statement{
		Sid: sid, Actions: []string{action}, Resources: []string{key},
		Conditions: map[string]map[string][]string{
			"StringEquals": {"kms:ViaService": {"s3." + region + ".amazonaws.com"}},
			"StringLike":   {"kms:EncryptionContext:aws:s3:arn": context},
		},
	}
}

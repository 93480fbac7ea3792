package iampolicy

import (
	"slices"
	"strings"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/secretref"
)

// Facts is what a policy has to know besides the job: where it runs, and what the
// account has that a job file does not name.
type Facts struct {
	Partition string // "" is aws
	Account   string // twelve digits
	Region    string // where the job runs; names of secrets without an ARN are looked up here

	// References are read besides those of the job.
	References []secretref.Ref

	// RepositoryID, when known, binds the use of a KMS key to this repository;
	// without it to any repository of pgbackup.
	RepositoryID string
	BucketKMSKey string // ARN of the key that the bucket encrypts with; "" for SSE-S3
	// SecretKMSKeys are ARNs of the keys that secrets and parameters are encrypted
	// with, where those are the customer's own.
	SecretKMSKeys []string
	ObjectLock    bool // points are written locked

	// For the target lambda, where one role does all: the function writes its own
	// log, and has an interface in the network.
	LogGroupARN string
	InVPC       bool
}

func (f Facts) partition() string {
	if f.Partition == "" {
		return "aws"
	}
	return f.Partition
}

// arn of something in the account of the facts.
func (f Facts) arn(service, region, what string) string {
	return strings.Join([]string{"arn", f.partition(), service, region, f.Account, what}, ":")
}

// bucketARN of a bucket, or of what is below one in the form "bucket/key".
func (f Facts) bucketARN(path string) string { return "arn:" + f.partition() + ":s3:::" + path }

// literal keeps the letters of a name from being read as wildcards or variables.
//
// Source: IAM User Guide, "IAM policy elements: Variables and tags".
func literal(name string) string {
	return strings.NewReplacer("$", "${$}", "*", "${*}", "?", "${?}").Replace(name)
}

// And is the document with the statements of others behind its own.
func (d Document) And(others ...Document) Document {
	all := slices.Clone(d.Statements)
	for _, o := range others {
		all = append(all, o.Statements...)
	}
	return Document{Statements: all}
}

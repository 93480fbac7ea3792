package iampolicy

import (
	"errors"
	"fmt"
	"regexp"
	"slices"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/job"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/metric"
)

var accountPattern = regexp.MustCompile(`^[0-9]{12}$`)

// lambda is the one target that a job's policy differs for.
const lambda = "lambda"

// targets a policy can be made for; package deploy, which is above, has the names.
var targets = []string{"fargate", lambda, "host", "kubernetes", "github_actions"}

// Targets lists what a policy can be made for, as run_on names it.
func Targets() []string { return slices.Clone(targets) }

// ForJob is what one run of a job needs on a target, and nothing besides: the
// objects of its repository that a job of its kind reads, writes and deletes, the
// secrets its file names, and the services its kind uses. What the target itself
// needs, such as writing the log of a task, is ForExecution's.
//
// The program, the keys, the policies and the files of jobs can be read and never
// written: who gets hold of a job cannot plant another program for the next run.
func ForJob(j job.Job, target string, f Facts) (Document, error) {
	if err := check(j, target, f); err != nil {
		return Document{}, fmt.Errorf("IAM policy of job %q: %w", j.Name, err)
	}
	at, err := job.ParseRepository(j.Repository)
	if err != nil {
		return Document{}, fmt.Errorf("IAM policy of job %q: repository %w", j.Name, err)
	}
	var d Document
	if !at.IsDirectory() {
		d = forRepository(j, at, target, f)
	}
	replica, err := forReplica(j, f)
	if err != nil {
		return Document{}, fmt.Errorf("IAM policy of job %q: %w", j.Name, err)
	}
	secrets, err := forReferences(j, f)
	if err != nil {
		return Document{}, fmt.Errorf("IAM policy of job %q: %w", j.Name, err)
	}
	d = d.And(replica, secrets, forRDS(j, at, f))
	if j.Metrics == job.MetricsCloudWatch {
		// PutMetricData knows no resources; the namespace is the only fence there is.
		d.Statements = append(d.Statements, Statement{
			Sid: "PublishMetrics", Actions: []string{"cloudwatch:PutMetricData"}, Resources: []string{"*"},
			Conditions: map[string]map[string][]string{"StringEquals": {"cloudwatch:namespace": {metric.Namespace}}},
		})
	}
	if target == lambda {
		d = d.And(forFunction(f))
	}
	return d, nil
}

func check(j job.Job, target string, f Facts) error {
	var errs []error
	if !slices.Contains(targets, target) {
		errs = append(errs, fmt.Errorf("there is no target %q", target))
	}
	if !slices.Contains(job.Kinds(), string(j.Kind)) {
		errs = append(errs, fmt.Errorf("there is no kind %q", j.Kind))
	}
	if !accountPattern.MatchString(f.Account) {
		errs = append(errs, fmt.Errorf("account %q: twelve digits are needed to name what the job may use", f.Account))
	}
	if f.Region == "" {
		errs = append(errs, errors.New("the region is not known: it is needed to name what the job may use"))
	}
	return errors.Join(errs...)
}

// forFunction is what Lambda needs of the role of a function besides its work.
func forFunction(f Facts) Document {
	var d Document
	if f.LogGroupARN != "" {
		d.Statements = append(d.Statements, writeLog(f.LogGroupARN))
	}
	if f.InVPC {
		// Lambda makes the interfaces, with calls that can be bound to no resource.
		// Source: AWS Lambda Developer Guide, "Giving Lambda functions access to resources in an Amazon VPC".
		d.Statements = append(d.Statements, Statement{
			Sid: "NetworkInterfaces", Resources: []string{"*"},
			Actions: []string{"ec2:AssignPrivateIpAddresses", "ec2:CreateNetworkInterface", "ec2:DeleteNetworkInterface",
				"ec2:DescribeNetworkInterfaces", "ec2:DescribeSubnets", "ec2:UnassignPrivateIpAddresses"},
		})
	}
	return d
}

// Package scheduled is what the targets fargate and lambda have in common:
// EventBridge Scheduler starts the job, roles say what everybody may do, a queue
// keeps what could not be started, a log group what was said. The document that
// describes all of it is here too.
//
// Documents and names are pure; Parts is the thin part that calls AWS. What must
// not live here: what is started, which is the business of fargate and lambda.
package scheduled

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Config is how AWS starts a job, whatever it starts. The zero value is a good
// one: everything is made, and made as small as can be.
type Config struct {
	SchedulerRoleARN    string // a role that is there; "" makes one
	PermissionsBoundary string // ARN of a policy; of the roles that are made

	LogGroup         string // name of one that is there; "" makes one
	LogRetentionDays int    // of the one that is made; 0 is DefaultLogRetentionDays
	LogKMSKeyARN     string // of the one that is made

	// FlexibleWindow lets AWS start the job up to so much later, which spreads
	// many jobs; 0 is on time. Whole minutes.
	FlexibleWindow time.Duration
	// RetryAttempts is how often AWS tries again to start a job it could not
	// start; nil is DefaultRetryAttempts. A job that started and failed is not
	// started again.
	RetryAttempts *int
	RetryMaxAge   time.Duration // how late it may still be started; 0 is DefaultRetryMaxAge

	DeadLetterQueueARN string // a queue that is there; "" makes one
	Disabled           bool   // the schedule is there and does not start anything
}

// What a zero Config means.
const (
	DefaultLogRetentionDays = 90
	DefaultRetryAttempts    = 5
	DefaultRetryMaxAge      = time.Hour
)

// logRetentions are the days that CloudWatch Logs knows.
//
// Source: CloudWatch Logs API Reference, PutRetentionPolicy.
var logRetentions = []int{1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653}

var (
	roleARN     = regexp.MustCompile(`^arn:[a-z-]+:iam::\d{12}:role/[\w+=,.@/-]+$`)
	policyARN   = regexp.MustCompile(`^arn:[a-z-]+:iam::(\d{12}|aws):policy/[\w+=,.@/-]+$`)
	queueARN    = regexp.MustCompile(`^arn:[a-z-]+:sqs:[a-z0-9-]+:\d{12}:[\w-]{1,80}$`)
	keyARN      = regexp.MustCompile(`^arn:[a-z-]+:kms:[a-z0-9-]+:\d{12}:key/[\w-]+$`)
	logName     = regexp.MustCompile(`^[\w/.#-]{1,512}$`)
	environName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
)

// Check says everything that is wrong with a Config.
func (c Config) Check() error {
	return errors.Join(
		CheckRole("scheduler_role_arn", c.SchedulerRoleARN),
		match("permissions_boundary", c.PermissionsBoundary, policyARN, "the ARN of an IAM policy"),
		match("log_group", c.LogGroup, logName, "the name of a log group"),
		match("log_kms_key_arn", c.LogKMSKeyARN, keyARN, "the ARN of a KMS key"),
		match("dead_letter_queue_arn", c.DeadLetterQueueARN, queueARN, "the ARN of an SQS queue that is not a FIFO queue"),
		c.checkNumbers(),
	)
}

func (c Config) checkNumbers() error {
	var errs []error
	if c.LogRetentionDays != 0 && !slices.Contains(logRetentions, c.LogRetentionDays) {
		errs = append(errs, fmt.Errorf("log_retention_days is %d: CloudWatch Logs knows %v", c.LogRetentionDays, logRetentions))
	}
	if c.LogGroup != "" && (c.LogRetentionDays != 0 || c.LogKMSKeyARN != "") {
		errs = append(errs, errors.New("log_retention_days and log_kms_key_arn are for a log group that is made here: set them on "+c.LogGroup+" where that is made"))
	}
	if w := c.FlexibleWindow; w != 0 && (w < time.Minute || w > 1440*time.Minute || w%time.Minute != 0) {
		errs = append(errs, fmt.Errorf("the flexible window is %s: give whole minutes from 1 to 1440", w))
	}
	if n := c.RetryAttempts; n != nil && (*n < 0 || *n > 185) {
		errs = append(errs, fmt.Errorf("retry attempts is %d: give 0 to 185", *n))
	}
	if a := c.RetryMaxAge; a != 0 && (a < time.Minute || a > 24*time.Hour || a%time.Second != 0) {
		errs = append(errs, fmt.Errorf("the maximum age of a retry is %s: give whole seconds from 60 to 86400", a))
	}
	return errors.Join(errs...)
}

// CheckRole says what is wrong with the ARN of a role that a user gave; "" is
// none.
func CheckRole(field, arn string) error { return match(field, arn, roleARN, "the ARN of an IAM role") }

func match(field, value string, pattern *regexp.Regexp, what string) error {
	if value == "" || pattern.MatchString(value) {
		return nil
	}
	return fmt.Errorf("%s %.200q: give %s", field, value, what)
}

// secretNames must not be told to a platform that shows its settings to everybody
// who may read them (law 6).
var secretNames = []string{"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "DATABASE_URL", "PGPASSWORD"}

// CheckEnvironment says what is wrong with variables a user gave.
func CheckEnvironment(environment map[string]string) error {
	var errs []error
	for name := range environment {
		switch {
		case !environName.MatchString(name):
			errs = append(errs, fmt.Errorf("environment: %.100q is no name of a variable", name))
		case slices.Contains(secretNames, name):
			errs = append(errs, fmt.Errorf("environment: %s would hold a secret that everybody can read who may look at the task or function: use a reference such as password_ref = \"secretsmanager:NAME\", and the role for access to AWS", name))
		case name == "PGBACKUP_RUNNER_SHA256" || name == "PGBACKUP_ARGS" || name == "PGBACKUP_RUNNER_URL" || name == "PGBACKUP_ALIVE_FILE":
			errs = append(errs, fmt.Errorf("environment: %s is set by pgbackup itself", name))
		}
	}
	slices.SortFunc(errs, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	return errors.Join(errs...)
}

package deployment

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/deploy"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/deploy/scheduled"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/iampolicy"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/job"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/location"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/runnerdist"
	"github.com/pgbackup/terraform-provider-pgbackup/provider/connection"
	"github.com/pgbackup/terraform-provider-pgbackup/provider/valid"
)

// awsSide is what the targets in AWS have in common. The connection is nil while
// a configuration is only validated.
type awsSide struct{ conn *connection.Connection }

// accountTime bounds how long a plan waits for STS.
const accountTime = 15 * time.Second

// facts are whose account this is, and which region. When it is not known yet, the
// facts are made up, good enough to find what is wrong with everything else, and
// the error wraps errNoAccount.
func (a awsSide) facts(ctx context.Context) (iampolicy.Facts, error) {
	f := iampolicy.Facts{Partition: "aws", Account: "000000000000", Region: "us-east-1"}
	if a.conn == nil {
		return f, errNoAccount
	}
	cfg, err := a.conn.AWS("")
	if errors.Is(err, connection.ErrUnknown) {
		return f, fmt.Errorf("%w: %w", errNoAccount, err)
	}
	if err == nil {
		f.Region = cfg.Region
		ctx, cancel := context.WithTimeout(ctx, accountTime)
		defer cancel()
		var id connection.Identity
		if id, err = a.conn.Identity(ctx); err == nil {
			f.Partition, f.Account = id.Partition, id.Account
			return f, nil
		}
	}
	return f, fmt.Errorf("%w: %w", errNoAccount, err)
}

// at gives the way to the region that a deployment is in, which is not the
// provider's any more after that was changed.
func (a awsSide) at(document string) (aws.Config, error) {
	d, err := scheduled.Parse(document)
	if err != nil {
		return aws.Config{}, err
	}
	return a.conn.AWS(d.Region)
}

// spec is what every target that fetches from a repository is rendered from. own
// are the tags of the resource.
func (a awsSide) spec(ctx context.Context, in input) (deploy.Spec, error) {
	var errs []error
	s := deploy.Spec{Job: in.job, Tags: TextMap(ctx, in.Tags, &errs)}
	if a.conn != nil {
		s.Tags = a.conn.Tags(s.Tags)
	}
	var err error
	s.Runner, err = fetched(in.release)
	if at, atErr := location.Parse(in.job.Repository); atErr == nil && at.IsDirectory() {
		errs = append(errs, fmt.Errorf("policy: repository %s is a directory of one machine: this target needs one in S3", at))
	}
	return s, errors.Join(append(errs, err)...)
}

// fetched is the runner for a target that fetches it.
func fetched(release runnerdist.Release) (deploy.Runner, error) {
	if release.Repository == "" {
		return deploy.Runner{}, errors.New("runner: give the release of a pgbackup_runner that has repository: it is fetched from there")
	}
	at, err := location.Parse(release.Repository)
	if err == nil && at.IsDirectory() {
		err = fmt.Errorf("runner: %s is a directory of one machine: give the release of a pgbackup_runner with a repository in S3", at)
	}
	return deploy.Runner{Repository: at, SHA256: release.SHA256}, err
}

// fill takes what is said of the permissions into the facts.
func (s scheduledModel) fill(ctx context.Context, f *iampolicy.Facts, errs *[]error) {
	f.BucketKMSKey, f.ObjectLock = s.BucketKMSKeyARN.ValueString(), s.ObjectLock.ValueBool()
	f.SecretKMSKeys = Texts(ctx, s.SecretKMSKeyARNs, errs)
}

func (s scheduledModel) config(at string, enabled bool, errs *[]error) scheduled.Config {
	c := scheduled.Config{
		SchedulerRoleARN: s.SchedulerRoleARN.ValueString(), PermissionsBoundary: s.PermissionsBoundary.ValueString(),
		LogGroup: s.LogGroup.ValueString(), LogRetentionDays: int(s.LogRetentionDays.ValueInt64()), LogKMSKeyARN: s.LogKMSKeyARN.ValueString(),
		DeadLetterQueueARN: s.DeadLetterQueueARN.ValueString(), Disabled: !enabled,
	}
	c.FlexibleWindow, _ = Span(at+".flexible_window", s.FlexibleWindow, errs).Exact()
	c.RetryMaxAge, _ = Span(at+".retry_max_age", s.RetryMaxAge, errs).Exact()
	if !s.RetryAttempts.IsNull() {
		n := int(s.RetryAttempts.ValueInt64())
		c.RetryAttempts = &n
	}
	return c
}

// deployed is where things are in AWS, whatever they are.
type deployed struct{ schedule, role, logGroup, queue string }

func (d deployed) describe(m *Model) {
	m.ID, m.RoleARN, m.LogGroup, m.DeadLetterQueueARN = Optional(d.schedule), Optional(d.role), Optional(d.logGroup), Optional(d.queue)
}

// describeJob sets what is known of a job that lies in a repository.
func describeJob(m *Model, j job.Job, p *papers, parts ...string) {
	m.JobJSON, m.JobURL = types.StringValue(string(p.content)), types.StringNull()
	if url, err := deploy.JobURL(j); err == nil {
		m.JobURL = types.StringValue(url)
	}
	m.JobDigest = types.StringValue(digest(append([]string{string(j.Canonical()), m.Runner.ValueString()}, parts...)...))
}

// digest of everything that is deployed.
func digest(parts ...string) string {
	h := sha256.New()
	for _, part := range parts {
		fmt.Fprintf(h, "%d:%s", len(part), part)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// invalid is a diagnostic about a block of run_on.
func invalid(block string, err error) (diags diag.Diagnostics) {
	// Where a reference is what is wrong, the line of the configuration may hold a
	// password that stands in its place: then no line is shown.
	text := valid.Sentence(err)
	if strings.Contains(text, "_ref") {
		diags.AddError("Invalid deployment of pgbackup_schedule: run_on."+block, text)
		return diags
	}
	diags.AddAttributeError(path.Root("run_on").AtName(block), "Invalid deployment", text)
	return diags
}

// regionOf an ARN; otherwise where it has none.
func regionOf(arn, otherwise string) string {
	if part := strings.Split(arn, ":"); len(part) > 3 && part[3] != "" {
		return part[3]
	}
	return otherwise
}

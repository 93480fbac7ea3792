package connection

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/feature/ec2/imds"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	awsbase "github.com/hashicorp/aws-sdk-go-base/v2"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/awsapi"
)

// AWS gives the way to the services of AWS in a region; "" is the provider's. The
// clients made of it go to the provider's endpoints. ErrUnknown while the
// provider's configuration is not known.
func (c *Connection) AWS(region string) (aws.Config, error) {
	if c.Unknown {
		return aws.Config{}, ErrUnknown
	}
	cfg, err := c.aws()
	if err != nil {
		return aws.Config{}, fmt.Errorf("access to AWS: %w", err)
	}
	if err := c.credentials(); err != nil {
		return aws.Config{}, err
	}
	cfg = cfg.Copy()
	if region != "" {
		cfg.Region = region
	}
	if cfg.Region == "" {
		return aws.Config{}, errors.New("access to AWS: no region is given: set region in the provider block, or AWS_REGION")
	}
	return cfg, nil
}

// storage is the way to buckets, which other services than AWS have too: STS is
// only asked where accounts are allowed or forbidden.
func (c *Connection) storage() (aws.Config, error) {
	if len(c.AllowedAccounts)+len(c.ForbiddenAccounts) > 0 {
		if err := c.credentials(); err != nil {
			return aws.Config{}, err
		}
	}
	return c.aws()
}

// checkCredentials asks STS once whether they are good, which says so in better
// words than ten failing resources do.
func (c *Connection) checkCredentials() error {
	if c.SkipCredentialsValidation && len(c.AllowedAccounts)+len(c.ForbiddenAccounts) == 0 {
		return nil
	}
	cfg, err := c.aws()
	if err != nil || cfg.Region == "" {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), credentialsTime)
	defer cancel()
	_, err = c.ask(ctx, cfg)
	return err
}

// credentialsTime bounds how long STS may take to say whether credentials are good.
const credentialsTime = 30 * time.Second

// Tags are the provider's default_tags and a resource's own, which win.
func (c *Connection) Tags(own map[string]string) map[string]string {
	tags := maps.Clone(c.DefaultTags)
	if tags == nil {
		tags = map[string]string{}
	}
	maps.Copy(tags, own)
	return tags
}

// Lock waits for the one turn there is for a name, such as a bucket's, within
// this provider: calls that replace a whole document must not overtake each other.
func (c *Connection) Lock(name string) (unlock func()) {
	m, _ := c.turns.LoadOrStore(name, &sync.Mutex{})
	m.(*sync.Mutex).Lock() //nolint:forcetypeassert // nothing else is stored
	return m.(*sync.Mutex).Unlock
}

// Identity is whose account is worked in.
type Identity struct {
	Partition string // aws, aws-cn, aws-us-gov
	Account   string // twelve digits
}

// Identity asks STS once who we are; after a failure, again only some time later,
// and until then gives the same error. Servers other than AWS that have no STS
// answer with an error; what needs no account must not ask.
func (c *Connection) Identity(ctx context.Context) (Identity, error) {
	cfg, err := c.AWS("")
	if err != nil {
		return Identity{}, err
	}
	return c.ask(ctx, cfg)
}

// failureTime is how long STS is not asked again after it failed. A plan with many
// schedules must not wait for each of them, one after the other.
const failureTime = 30 * time.Second

func (c *Connection) ask(ctx context.Context, cfg aws.Config) (Identity, error) {
	c.identity.Lock()
	defer c.identity.Unlock()
	if c.known.Account != "" {
		return c.known, c.allowed(c.known.Account)
	}
	if c.failed != nil && time.Since(c.failedAt) < failureTime {
		return Identity{}, c.failed
	}
	out, err := sts.NewFromConfig(cfg).GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
	if err != nil {
		err = awsapi.Explain(ctx, "asking STS whether the credentials are good and whose account this is (skip_credentials_validation = true of the provider leaves it until the account is needed)", "sts:GetCallerIdentity", err)
		if !errors.Is(ctx.Err(), context.Canceled) { // which says nothing about STS
			c.failed, c.failedAt = err, time.Now()
		}
		return Identity{}, err
	}
	c.known = Identity{Partition: "aws", Account: aws.ToString(out.Account)}
	if parts := strings.SplitN(aws.ToString(out.Arn), ":", 3); len(parts) == 3 && parts[1] != "" {
		c.known.Partition = parts[1]
	}
	return c.known, c.allowed(c.known.Account)
}

// allowed holds an account against the lists of the configuration.
func (s Settings) allowed(account string) error {
	switch {
	case len(s.AllowedAccounts) > 0 && !slices.Contains(s.AllowedAccounts, account):
		return fmt.Errorf("the credentials are of AWS account %s, which is not in allowed_account_ids of the provider (%s)", account, strings.Join(s.AllowedAccounts, ", "))
	case slices.Contains(s.ForbiddenAccounts, account):
		return fmt.Errorf("the credentials are of AWS account %s, which is in forbidden_account_ids of the provider", account)
	}
	return nil
}

// awsConfig resolves access the way the AWS provider does.
func (s Settings) awsConfig(ctx context.Context) (aws.Config, error) {
	cfg := &awsbase.Config{
		CallerName: "pgbackup provider", CallerDocumentationURL: "https://registry.terraform.io/providers/pgbackup/pgbackup/latest/docs",
		Region: s.Region, Profile: s.Profile, MaxRetries: s.MaxRetries, RetryMode: aws.RetryMode(s.RetryMode),
		SharedConfigFiles: s.SharedConfigFiles, SharedCredentialsFiles: s.SharedCredentialsFiles,
		CustomCABundle: s.CABundle, HTTPProxy: s.proxy(s.HTTPProxy), HTTPSProxy: s.proxy(s.HTTPSProxy), NoProxy: s.NoProxy,
		Insecure: s.Insecure, UseDualStackEndpoint: s.DualStack, UseFIPSEndpoint: s.FIPS,
		StsEndpoint: s.Endpoints["STS"], StsRegion: s.STSRegion,
		// STS is asked when it is needed: other servers than AWS have none.
		SkipCredsValidation: true, SkipRequestingAccountId: true,
		SuppressDebugLog: true,
		UserAgent:        append(awsbase.UserAgentProducts{{Name: "terraform-provider-pgbackup", Version: s.Version}}, s.userAgent()...),
	}
	if s.SkipMetadata {
		cfg.EC2MetadataServiceEnableState = imds.ClientDisabled
	}
	if cfg.MaxRetries == 0 {
		cfg.MaxRetries = 25 // as the AWS provider has it: many resources share one account's limits
		if s.S3Endpoint != "" {
			cfg.MaxRetries = 5 // a server of one's own that is down, or lacks something, is soon told
		}
	}
	if cfg.Region == "" && s.S3Endpoint != "" && os.Getenv("AWS_REGION") == "" && os.Getenv("AWS_DEFAULT_REGION") == "" {
		cfg.Region = "us-east-1" // what servers other than AWS expect
	}
	if r := s.Role; r != nil {
		cfg.AssumeRole = []awsbase.AssumeRole{{RoleARN: r.ARN, SessionName: r.SessionName, ExternalID: r.ExternalID, Duration: r.Duration, Policy: r.Policy, PolicyARNs: r.PolicyARNs, Tags: r.Tags, TransitiveTagKeys: r.TransitiveTagKeys, SourceIdentity: r.SourceIdentity}}
	}
	if w := s.WebIdentity; w != nil {
		cfg.AssumeRoleWithWebIdentity = &awsbase.AssumeRoleWithWebIdentity{RoleARN: w.ARN, SessionName: w.SessionName, Duration: w.Duration, WebIdentityTokenFile: w.TokenFile, Policy: w.Policy, PolicyARNs: w.PolicyARNs}
	}
	_, resolved, diags := awsbase.GetAwsConfig(ctx, cfg)
	for _, d := range diags {
		if d.Severity().String() == "Error" || diags.HasError() {
			return aws.Config{}, fmt.Errorf("%s: %s", d.Summary(), d.Detail())
		}
	}
	resolved.APIOptions = append(resolved.APIOptions, endpoints(s.Endpoints).add)
	if s.Adjust != nil {
		resolved = s.Adjust(resolved)
	}
	return resolved, nil
}

func (s Settings) proxy(url string) *string {
	if url == "" {
		return nil
	}
	return &url
}

// userAgent reads "name/version" products.
func (s Settings) userAgent() (products awsbase.UserAgentProducts) {
	for _, p := range s.UserAgent {
		name, version, _ := strings.Cut(p, "/")
		products = append(products, awsbase.UserAgentProduct{Name: name, Version: version})
	}
	return products
}

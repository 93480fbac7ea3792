// Package connection is what the provider's configuration becomes: the way from
// the id of a repository to an open one, and where runner builds come from.
//
// What lives here: AWS access and opening stores for every resource. What must
// not: anything about a single resource.
package connection

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/user"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/location"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/policy"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/runnerdist"
)

// ErrUnknown: the provider's configuration is not known yet, which happens
// during a plan when it depends on a resource that is to be created.
var ErrUnknown = errors.New("the provider's configuration is not known before apply")

// Role is an IAM role to take on.
type Role struct {
	ARN               string
	SessionName       string
	ExternalID        string
	SourceIdentity    string
	Duration          time.Duration // 0 is AWS's default, one hour
	Policy            string        // JSON that narrows what the session may do
	PolicyARNs        []string
	Tags              map[string]string
	TransitiveTagKeys []string
	TokenFile         string // of a web identity; only there
}

// Settings are the values of the provider block; empty ones were not given.
type Settings struct {
	Version    string // of the provider
	Region     string
	Profile    string
	S3Endpoint string
	PathStyle  bool
	RunnerPath string
	// Endpoints of services other than S3, by the id the SDK has for each, such
	// as "ECS" or "Secrets Manager".
	Endpoints   map[string]string
	Role        *Role // to take on
	WebIdentity *Role // to take on with the token of a web identity
	DefaultTags map[string]string
	UserAgent   []string // name/version of products to add

	MaxRetries                               int    // 0 is the default
	RetryMode                                string // standard or adaptive; "" is the SDK's
	SharedConfigFiles                        []string
	SharedCredentialsFiles                   []string
	AllowedAccounts, ForbiddenAccounts       []string
	CABundle, HTTPProxy, HTTPSProxy, NoProxy string
	STSRegion                                string
	Insecure, DualStack, FIPS                bool
	SkipCredentialsValidation, SkipMetadata  bool

	// StoragePrices stand in for list prices: USD per GB-month by storage class.
	StoragePrices map[string]float64
	Unknown       bool // some value is not known yet
	// Adjust changes the way to AWS that all this leads to; nil does not.
	Adjust func(aws.Config) aws.Config
}

// Connection serves every resource. Safe for concurrent use.
type Connection struct {
	Settings
	aws         func() (aws.Config, error)
	credentials func() error // whether they are good, asked once
	runners     func() (runnerdist.Set, error)

	keys  sync.Map // of KeyReferences: location.Location -> []string
	turns sync.Map // of Lock: name -> *sync.Mutex
	marks sync.Map // location.Location -> *Marks
	made  sync.Map // of Claim: name -> generation

	identity sync.Mutex // guards what follows
	known    Identity
	failed   error // why it was not known at failedAt
	failedAt time.Time
}

// New prepares a connection. Nothing is contacted and no credentials are looked
// for until something in S3 is used: directories need no AWS account.
func New(s Settings) *Connection {
	c := &Connection{Settings: s}
	c.aws = sync.OnceValues(func() (aws.Config, error) { return s.awsConfig(context.Background()) })
	c.credentials = sync.OnceValue(c.checkCredentials)
	c.runners = sync.OnceValues(func() (runnerdist.Set, error) {
		if s.RunnerPath != "" {
			return runnerdist.FromPath(s.RunnerPath)
		}
		return runnerdist.Embedded()
	})
	return c
}

// Runners gives the runner builds: those of runner_path, or the embedded ones.
func (c *Connection) Runners() (runnerdist.Set, error) {
	if c.Unknown {
		return runnerdist.Set{}, ErrUnknown
	}
	return c.runners()
}

// OpenStore opens the store at a place. create makes a directory that is not
// there; buckets are never made.
func (c *Connection) OpenStore(ctx context.Context, at location.Location, create bool) (objstore.Store, error) {
	opts := location.OpenOptions{Create: create}
	if !at.IsDirectory() {
		if c.Unknown {
			return nil, ErrUnknown
		}
		cfg, err := c.storage()
		if err != nil {
			return nil, fmt.Errorf("access to %s: %w", at, err)
		}
		opts.AWS = &cfg
	}
	return location.Open(ctx, at, opts)
}

// Opened is an open repository and what was learned on the way.
type Opened struct {
	*repo.Repository
	// References to its key that the repository itself suggests, newest first.
	References []string
}

// OpenRepository opens the repository at a place. keyRef is a reference to its
// outer key; "" opens without, which is enough for all but adding a key.
func (c *Connection) OpenRepository(ctx context.Context, at location.Location, keyRef string) (Opened, error) {
	store, err := c.OpenStore(ctx, at, false)
	if err != nil {
		return Opened{}, err
	}
	var o Opened
	o.Repository, err = repo.Open(ctx, store, repo.OpenOptions{Key: keySource(c.Secrets(), &o.References, keyRef)})
	return o, err
}

// Envelope signs a revision of a policy with who writes it now.
func (c *Connection) Envelope() policy.Envelope {
	return policy.Envelope{At: time.Now().UTC(), By: whoami(), ProviderVersion: c.Version}
}

// whoami is user@host, as far as is known.
func whoami() string {
	name := os.Getenv("USER")
	if u, err := user.Current(); err == nil {
		name = u.Username
	}
	host, err := os.Hostname()
	if err != nil {
		return name
	}
	return name + "@" + host
}

package bucket

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/awsapi"
)

// The protections of a bucket, by the name under which Terraform shows them.
const (
	Versioning      = "versioning"
	Encryption      = "encryption"
	PublicAccess    = "public_access"
	Ownership       = "ownership"
	Transport       = "transport"
	OtherEncryption = "other_encryption"
	ObjectLock      = "object_lock"
)

// What a protection can be, other than a text of S3's own.
const (
	On         = "enabled"
	Off        = "off"
	Blocked    = "blocked"
	TLSOnly    = "TLS only"
	AnyConn    = "connections without TLS allowed"
	Allowed    = "allowed"
	NotOffered = "not offered by this server" // and nothing anybody could do about it
	NotOverTLS = "the endpoint has no TLS"    // demanding it would lock everybody out
	Unreadable = "not readable by this identity"
)

// Protections are the state of each protection by its name.
type Protections map[string]string

// Wish says how a bucket is to be protected.
type Wish struct {
	KMSKey     string // ARN of the key to encrypt with; "" is SSE-S3
	RefuseElse bool   // uploads that ask for another encryption than the bucket's
	ObjectLock bool   // can be looked at, and only begun when the bucket is made
}

// Wanted are the protections a wish comes to.
func (b *Bucket) Wanted(w Wish) Protections {
	p := Protections{
		Versioning: On, Encryption: encrypted(w.KMSKey, true), PublicAccess: Blocked, Ownership: string(types.ObjectOwnershipBucketOwnerEnforced),
		Transport: TLSOnly, OtherEncryption: Allowed, ObjectLock: Off,
	}
	if w.RefuseElse {
		p[OtherEncryption] = allBut(w.KMSKey)
	}
	if w.ObjectLock {
		p[ObjectLock] = On
	}
	if strings.HasPrefix(b.opts.Endpoint, "http://") {
		p[Transport] = NotOverTLS
	}
	return p
}

func encrypted(kmsKey string, bucketKey bool) string {
	switch {
	case kmsKey == "":
		return "SSE-S3"
	case !bucketKey:
		return "SSE-KMS with " + kmsKey + ", without a bucket key"
	}
	return "SSE-KMS with " + kmsKey
}

// KMSKeyOf gives the key out of the state of Encryption, "" for SSE-S3 and none.
func KMSKeyOf(encryption string) string {
	key, _ := strings.CutPrefix(encryption, "SSE-KMS with ")
	if key == encryption {
		return ""
	}
	key, _, _ = strings.Cut(key, ", ")
	return key
}

// Protections reads all of them, at once. What the server does not have and what
// this identity may not read are said so in their place. A bucket that is gone is
// awsapi.ErrGone.
func (b *Bucket) Protections(ctx context.Context) (Protections, error) {
	looks := map[string]func(context.Context) (string, error){
		Versioning: b.versioning, Encryption: b.encryption, PublicAccess: b.publicAccess, Ownership: b.ownership, ObjectLock: b.objectLock,
	}
	var mu sync.Mutex
	found, problems := Protections{}, []error(nil)
	note := func(name, state string, err error) {
		mu.Lock()
		defer mu.Unlock()
		switch {
		case errors.Is(err, ErrLacking):
			state = NotOffered
		case errors.Is(err, awsapi.ErrDenied):
			state = Unreadable
		case err != nil:
			problems = append(problems, err)
		}
		found[name] = state
	}
	var wg sync.WaitGroup
	for name, look := range looks {
		wg.Go(func() {
			state, err := look(ctx)
			note(name, state, err)
		})
	}
	wg.Go(func() {
		transport, other, err := b.demands(ctx)
		note(Transport, transport, err)
		note(OtherEncryption, other, err)
	})
	wg.Wait()
	if strings.HasPrefix(b.opts.Endpoint, "http://") && found[Transport] != TLSOnly {
		found[Transport] = NotOverTLS
	}
	for _, err := range problems {
		if errors.Is(err, awsapi.ErrGone) {
			return nil, err
		}
	}
	return found, errors.Join(problems...)
}

func (b *Bucket) reading(what string) string { return "reading " + what + " of " + b.String() }

func (b *Bucket) versioning(ctx context.Context) (string, error) {
	out, err := b.client.GetBucketVersioning(ctx, &awss3.GetBucketVersioningInput{Bucket: &b.name})
	if err != nil {
		return "", b.explain(ctx, b.reading("versioning"), "s3:GetBucketVersioning", err)
	}
	switch out.Status {
	case types.BucketVersioningStatusEnabled:
		return On, nil
	case "":
		return Off, nil
	}
	return strings.ToLower(string(out.Status)), nil
}

func (b *Bucket) encryption(ctx context.Context) (string, error) {
	out, err := b.client.GetBucketEncryption(ctx, &awss3.GetBucketEncryptionInput{Bucket: &b.name})
	if code(err) == "ServerSideEncryptionConfigurationNotFoundError" {
		return Off, nil
	}
	if err != nil {
		return "", b.explain(ctx, b.reading("encryption"), "s3:GetEncryptionConfiguration", err)
	}
	if out.ServerSideEncryptionConfiguration == nil || len(out.ServerSideEncryptionConfiguration.Rules) == 0 || out.ServerSideEncryptionConfiguration.Rules[0].ApplyServerSideEncryptionByDefault == nil {
		return Off, nil
	}
	rule := out.ServerSideEncryptionConfiguration.Rules[0]
	switch by := rule.ApplyServerSideEncryptionByDefault; by.SSEAlgorithm {
	case types.ServerSideEncryptionAes256:
		return encrypted("", true), nil
	case types.ServerSideEncryptionAwsKms:
		key := aws.ToString(by.KMSMasterKeyID)
		if key == "" {
			key = "alias/aws/s3" // what S3 takes then
		}
		return encrypted(key, aws.ToBool(rule.BucketKeyEnabled)), nil
	default:
		return string(by.SSEAlgorithm), nil
	}
}

func (b *Bucket) publicAccess(ctx context.Context) (string, error) {
	out, err := b.client.GetPublicAccessBlock(ctx, &awss3.GetPublicAccessBlockInput{Bucket: &b.name})
	if code(err) == "NoSuchPublicAccessBlockConfiguration" {
		return Allowed, nil
	}
	if err != nil {
		return "", b.explain(ctx, b.reading("the public access block"), "s3:GetBucketPublicAccessBlock", err)
	}
	var open []string
	if c := out.PublicAccessBlockConfiguration; c != nil {
		for name, on := range map[string]*bool{"BlockPublicAcls": c.BlockPublicAcls, "IgnorePublicAcls": c.IgnorePublicAcls, "BlockPublicPolicy": c.BlockPublicPolicy, "RestrictPublicBuckets": c.RestrictPublicBuckets} {
			if !aws.ToBool(on) {
				open = append(open, name)
			}
		}
	}
	switch {
	case out.PublicAccessBlockConfiguration == nil, len(open) == 4:
		return Allowed, nil
	case len(open) > 0:
		slices.Sort(open)
		return "allowed in part: without " + strings.Join(open, ", "), nil
	}
	return Blocked, nil
}

func (b *Bucket) ownership(ctx context.Context) (string, error) {
	out, err := b.client.GetBucketOwnershipControls(ctx, &awss3.GetBucketOwnershipControlsInput{Bucket: &b.name})
	if code(err) == "OwnershipControlsNotFoundError" {
		return Off, nil
	}
	if err != nil {
		return "", b.explain(ctx, b.reading("the ownership controls"), "s3:GetBucketOwnershipControls", err)
	}
	if out.OwnershipControls == nil || len(out.OwnershipControls.Rules) == 0 {
		return Off, nil
	}
	return string(out.OwnershipControls.Rules[0].ObjectOwnership), nil
}

func (b *Bucket) objectLock(ctx context.Context) (string, error) {
	out, err := b.client.GetObjectLockConfiguration(ctx, &awss3.GetObjectLockConfigurationInput{Bucket: &b.name})
	if code(err) == "ObjectLockConfigurationNotFoundError" {
		return Off, nil
	}
	if err != nil {
		return "", b.explain(ctx, b.reading("Object Lock"), "s3:GetBucketObjectLockConfiguration", err)
	}
	c := out.ObjectLockConfiguration
	if c == nil || c.ObjectLockEnabled != types.ObjectLockEnabledEnabled {
		return Off, nil
	}
	if c.Rule != nil && c.Rule.DefaultRetention != nil {
		return On + ", with a default retention", nil
	}
	return On, nil
}

// Protect makes the bucket as wished and sees that it is; what is so already is not
// written. lacking names what the server does not have, which is an error for what
// was wished for in words: a key, the refusal of other encryption, Object Lock.
//
// Two callers at once must take turns: S3 replaces a policy as a whole.
func (b *Bucket) Protect(ctx context.Context, w Wish) (lacking []string, err error) {
	want := b.Wanted(w)
	have, err := b.Protections(ctx)
	if err != nil {
		return nil, err
	}
	if w.ObjectLock && !Locks(have[ObjectLock]) {
		return nil, b.NoLock(have[ObjectLock])
	}
	want[ObjectLock] = have[ObjectLock] // whatever it is, it can not be changed
	writes := []struct {
		name string
		call func(context.Context) error
	}{
		{PublicAccess, b.blockPublicAccess}, {Ownership, b.enforceOwnership}, {Versioning, b.enableVersioning},
		{Encryption, func(ctx context.Context) error { return b.encryptWith(ctx, w.KMSKey) }},
		{Transport, func(ctx context.Context) error { return b.demand(ctx, want, w.KMSKey) }},
		{OtherEncryption, func(ctx context.Context) error { return b.demand(ctx, want, w.KMSKey) }},
	}
	for _, write := range writes {
		if have[write.name] == want[write.name] || have[write.name] == Off && want[write.name] == Allowed {
			continue
		}
		switch err := write.call(ctx); {
		case errors.Is(err, ErrLacking) && !w.asks(write.name):
			lacking = append(lacking, write.name)
			want[write.name] = NotOffered
		case err != nil:
			return lacking, err
		}
	}
	return lacking, b.become(ctx, want)
}

// asks reports whether a protection was wished for in words.
func (w Wish) asks(name string) bool {
	return name == Encryption && w.KMSKey != "" || name == OtherEncryption && w.RefuseElse || name == ObjectLock && w.ObjectLock
}

// Locks reports whether the state of ObjectLock is that of a bucket with it.
func Locks(state string) bool { return strings.HasPrefix(state, On) }

// NoLock says why points cannot be locked in this bucket.
func (b *Bucket) NoLock(state string) error {
	how := "S3 can begin with it on a bucket that has versioning, and nobody can end it again: aws s3api put-object-lock-configuration --bucket " + b.name + " --object-lock-configuration ObjectLockEnabled=Enabled"
	if !b.onAWS() {
		how = "this server may only know it for a new bucket: give another name"
	}
	return fmt.Errorf("%s has no Object Lock (it is %s), so that object_lock could protect nothing. %s", b, state, how)
}

// become waits until the bucket shows the protections.
func (b *Bucket) become(ctx context.Context, want Protections) error {
	return awsapi.Until(ctx, awsapi.Waiting{What: "the protections of " + b.String(), Limit: b.opts.Settle, First: 200 * time.Millisecond, Most: 5 * time.Second},
		func(ctx context.Context) (bool, string, error) {
			have, err := b.Protections(ctx)
			if err != nil {
				return false, "", err
			}
			differ := Differ(have, want)
			return len(differ) == 0, strings.Join(differ, "; "), nil
		})
}

// Differ says in what protections are not as wanted: "versioning is off, not
// enabled". What a server lacks or nobody may read differs from nothing.
func Differ(have, want Protections) (all []string) {
	for _, name := range slices.Sorted(maps.Keys(want)) {
		h := have[name]
		if h == want[name] || h == NotOffered || h == Unreadable || want[name] == NotOffered || h == Off && want[name] == Allowed {
			continue
		}
		all = append(all, fmt.Sprintf("%s is %s, not %s", name, h, want[name]))
	}
	return all
}

func (b *Bucket) blockPublicAccess(ctx context.Context) error {
	yes := aws.Bool(true)
	_, err := b.client.PutPublicAccessBlock(ctx, &awss3.PutPublicAccessBlockInput{Bucket: &b.name, PublicAccessBlockConfiguration: &types.PublicAccessBlockConfiguration{
		BlockPublicAcls: yes, BlockPublicPolicy: yes, IgnorePublicAcls: yes, RestrictPublicBuckets: yes,
	}})
	return b.explain(ctx, "blocking public access to "+b.String(), "s3:PutBucketPublicAccessBlock", err)
}

func (b *Bucket) enforceOwnership(ctx context.Context) error {
	_, err := b.client.PutBucketOwnershipControls(ctx, &awss3.PutBucketOwnershipControlsInput{Bucket: &b.name, OwnershipControls: &types.OwnershipControls{
		Rules: []types.OwnershipControlsRule{{ObjectOwnership: types.ObjectOwnershipBucketOwnerEnforced}},
	}})
	return b.explain(ctx, "enforcing the owner of "+b.String(), "s3:PutBucketOwnershipControls", err)
}

func (b *Bucket) enableVersioning(ctx context.Context) error {
	_, err := b.client.PutBucketVersioning(ctx, &awss3.PutBucketVersioningInput{Bucket: &b.name, VersioningConfiguration: &types.VersioningConfiguration{Status: types.BucketVersioningStatusEnabled}})
	return b.explain(ctx, "enabling versioning of "+b.String(), "s3:PutBucketVersioning", err)
}

func (b *Bucket) encryptWith(ctx context.Context, kmsKey string) error {
	rule := types.ServerSideEncryptionRule{ApplyServerSideEncryptionByDefault: &types.ServerSideEncryptionByDefault{SSEAlgorithm: types.ServerSideEncryptionAes256}}
	if kmsKey != "" {
		rule.ApplyServerSideEncryptionByDefault = &types.ServerSideEncryptionByDefault{SSEAlgorithm: types.ServerSideEncryptionAwsKms, KMSMasterKeyID: &kmsKey}
		// One request to KMS for many objects, instead of one for each.
		rule.BucketKeyEnabled = aws.Bool(true)
	}
	_, err := b.client.PutBucketEncryption(ctx, &awss3.PutBucketEncryptionInput{Bucket: &b.name, ServerSideEncryptionConfiguration: &types.ServerSideEncryptionConfiguration{Rules: []types.ServerSideEncryptionRule{rule}}})
	return b.explain(ctx, "setting the encryption of "+b.String(), "s3:PutEncryptionConfiguration", err)
}

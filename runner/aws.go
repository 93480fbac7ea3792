package main

import (
	"context"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/smithy-go/middleware"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore/s3"
)

// aws is the configuration for calls to AWS: credentials by the usual chain of
// environment, profile, web identity, container and instance, for a region, ""
// for the one the chain knows. It is loaded once an invocation, when something
// first needs AWS, and nowhere else: credentials are then looked for once.
func (a *app) aws(ctx context.Context, region string) (aws.Config, error) {
	a.awsMu.Lock()
	defer a.awsMu.Unlock()
	if a.awsConfig == nil {
		options := append([]func(*config.LoadOptions) error{
			config.WithAPIOptions([]func(*middleware.Stack) error{awsmiddleware.AddUserAgentKeyValue("pgbackup-runner", runnerVersion())}),
		}, a.awsOptions...)
		cfg, err := config.LoadDefaultConfig(ctx, options...)
		if err != nil {
			return aws.Config{}, fmt.Errorf("read the AWS configuration: %w; look at ~/.aws/config and the AWS_… variables", err)
		}
		if cfg.Credentials != nil {
			cfg.Credentials = s3.Credentials(cfg.Credentials)
		}
		a.awsConfig = &cfg
	}
	cfg := a.awsConfig.Copy()
	if region != "" {
		cfg.Region = region
	}
	if cfg.Region == "" {
		if at, err := a.place(); err == nil {
			cfg.Region = at.Region // where the backups are is where the rest is, unless said otherwise
		}
	}
	return cfg, nil
}

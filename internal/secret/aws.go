package secret

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/arn"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/awsapi"
)

// access is the way to the service that keeps what name names: an ARN carries its
// region, a plain name is in that of the configuration.
func (s Source) access(ctx context.Context, name string) (aws.Config, error) {
	if s.AWS == nil {
		return aws.Config{}, fmt.Errorf("%w: it is in AWS, and there is no access to AWS here", ErrUnsupported)
	}
	region := ""
	if parsed, err := arn.Parse(name); err == nil {
		region = parsed.Region
	}
	return s.AWS(ctx, region)
}

// fromSecretsManager reads the current version of a secret, by name or ARN.
func (s Source) fromSecretsManager(ctx context.Context, name string) ([]byte, error) {
	cfg, err := s.access(ctx, name)
	if err != nil {
		return nil, err
	}
	out, err := secretsmanager.NewFromConfig(cfg).GetSecretValue(ctx, &secretsmanager.GetSecretValueInput{SecretId: &name})
	if err != nil {
		return nil, missing(awsapi.Explain(ctx, "asking Secrets Manager in "+cfg.Region,
			"secretsmanager:GetSecretValue on the secret, and kms:Decrypt on the key that encrypts it where that is not aws/secretsmanager", err))
	}
	if text := aws.ToString(out.SecretString); text != "" {
		return []byte(text), nil
	}
	if len(out.SecretBinary) == 0 {
		return nil, fmt.Errorf("%w: the secret is empty", ErrMissing)
	}
	return out.SecretBinary, nil
}

// fromParameter reads a parameter of Systems Manager, by name or ARN, decrypted.
func (s Source) fromParameter(ctx context.Context, name string) ([]byte, error) {
	cfg, err := s.access(ctx, name)
	if err != nil {
		return nil, err
	}
	out, err := ssm.NewFromConfig(cfg).GetParameter(ctx, &ssm.GetParameterInput{Name: &name, WithDecryption: aws.Bool(true)})
	if err != nil {
		return nil, missing(awsapi.Explain(ctx, "asking Systems Manager in "+cfg.Region,
			"ssm:GetParameter on the parameter, and kms:Decrypt on the key that encrypts it where that is not aws/ssm", err))
	}
	if out.Parameter == nil || aws.ToString(out.Parameter.Value) == "" {
		return nil, fmt.Errorf("%w: the parameter is empty", ErrMissing)
	}
	if out.Parameter.Type != types.ParameterTypeSecureString {
		s.log().Warn("a parameter with a secret is stored in clear text; make it a SecureString", "parameter", name, "type", string(out.Parameter.Type))
	}
	return []byte(*out.Parameter.Value), nil
}

// missing adds what a service's own "not there" means here.
func missing(err error) error {
	switch {
	case errors.Is(err, awsapi.ErrGone):
		return fmt.Errorf("%w: %w; look at the name, the account and the region", ErrMissing, err)
	case awsapi.Is(err, "InvalidRequestException") && strings.Contains(strings.ToLower(err.Error()), "delet"):
		return fmt.Errorf("%w: %w; bring it back with `aws secretsmanager restore-secret` before its recovery window ends", ErrMissing, err)
	}
	return err
}

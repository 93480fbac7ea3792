package testenv

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/middleware"
)

// AWSCalls records what is asked of AWS, and can answer instead of it: with the
// refusals that moto does not make, or with a line that is dead.
type AWSCalls struct {
	// Answer is asked before the n-th call, counted from 1, named such as
	// "IAM.CreateRole". nil lets the call through.
	Answer func(n int, name string) error

	mu    sync.Mutex
	Names []string // of all calls so far, in order
}

// Watched is cfg with c in every client made of it.
func (c *AWSCalls) Watched(cfg aws.Config) aws.Config {
	cfg = cfg.Copy()
	cfg.APIOptions = append(cfg.APIOptions, func(stack *middleware.Stack) error {
		return stack.Initialize.Add(middleware.InitializeMiddlewareFunc("testenv.AWSCalls", c.intercept), middleware.After)
	})
	return cfg
}

func (c *AWSCalls) intercept(ctx context.Context, in middleware.InitializeInput, next middleware.InitializeHandler) (middleware.InitializeOutput, middleware.Metadata, error) {
	name := awsmiddleware.GetServiceID(ctx) + "." + awsmiddleware.GetOperationName(ctx)
	c.mu.Lock()
	c.Names = append(c.Names, name)
	n := len(c.Names)
	c.mu.Unlock()
	if c.Answer != nil {
		if err := c.Answer(n, name); err != nil {
			return middleware.InitializeOutput{}, middleware.Metadata{}, err
		}
	}
	return next.HandleInitialize(ctx, in)
}

// AWSRefusal is an answer of a service with an error.
func AWSRefusal(code, message string) error {
	return &smithy.OperationError{ServiceID: "test", OperationName: "test", Err: &smithy.GenericAPIError{Code: code, Message: message}}
}

// ErrDead is what calls over a dead line give.
var ErrDead = errors.New("the line went dead")

// DeadAt lets the n-th call fail before it reaches AWS.
func DeadAt(n int) func(int, string) error {
	return func(i int, name string) error {
		if i == n {
			return fmt.Errorf("call %d, %s: %w", n, name, ErrDead)
		}
		return nil
	}
}

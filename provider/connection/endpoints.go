package connection

import (
	"context"
	"fmt"
	"net/url"

	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// endpoints are URLs by the id the SDK has for a service, such as "ECS" or
// "Secrets Manager".
//
// They are put in by a middleware. The SDK's own way for one service gives way to
// AWS_ENDPOINT_URL of the environment, and what a configuration says must win.
type endpoints map[string]string

func (e endpoints) add(stack *middleware.Stack) error {
	if len(e) == 0 {
		return nil
	}
	m := middleware.FinalizeMiddlewareFunc("pgbackup.Endpoint", func(ctx context.Context, in middleware.FinalizeInput, next middleware.FinalizeHandler) (middleware.FinalizeOutput, middleware.Metadata, error) {
		if to := e[awsmiddleware.GetServiceID(ctx)]; to != "" {
			if req, ok := in.Request.(*smithyhttp.Request); ok {
				u, err := url.Parse(to)
				if err != nil || u.Host == "" {
					return middleware.FinalizeOutput{}, middleware.Metadata{}, fmt.Errorf("endpoint %q is not a URL", to)
				}
				req.URL.Scheme, req.URL.Host = u.Scheme, u.Host
				req.Host = ""
			}
		}
		return next.HandleFinalize(ctx, in)
	})
	// Where it goes is a part of what is signed.
	return stack.Finalize.Insert(m, "ResolveEndpointV2", middleware.After)
}

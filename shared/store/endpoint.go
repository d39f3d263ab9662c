package store

import (
	"context"
	"sync/atomic"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	smithyendpoints "github.com/aws/smithy-go/endpoints"
	"github.com/aws/smithy-go/middleware"
)

// endpointOnce keeps the endpoint of the table, which the SDK would work out for each attempt of each request.
// Of what the endpoint depends on, only the account can change while a client lives, with its credentials: an
// account may have an endpoint of its own.
type endpointOnce struct {
	dynamodb.EndpointResolverV2
	last atomic.Pointer[accountEndpoint]
}

type accountEndpoint struct {
	account  string
	endpoint smithyendpoints.Endpoint
}

// ResolveEndpoint implements [dynamodb.EndpointResolverV2].
func (e *endpointOnce) ResolveEndpoint(ctx context.Context, p dynamodb.EndpointParameters) (smithyendpoints.Endpoint, error) { //nolint:gocritic // the interface's
	account := aws.ToString(p.AccountId)
	if last := e.last.Load(); last != nil && last.account == account {
		return last.endpoint, nil
	}
	endpoint, err := e.EndpointResolverV2.ResolveEndpoint(ctx, p)
	if err == nil {
		e.last.Store(&accountEndpoint{account, endpoint})
	}
	return endpoint, err
}

// withoutInvocationID takes out of a request the random number by which the SDK marks the attempts of one call.
// DynamoDB does not ask for it, and its own ids of requests are in errors.
func withoutInvocationID(stack *middleware.Stack) error {
	_, err := stack.Build.Remove("ClientRequestID")
	return err
}

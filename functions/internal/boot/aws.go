package boot

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"github.com/rotor-auth/rotor/shared/family"
	"github.com/rotor-auth/rotor/shared/foreign"
	"github.com/rotor-auth/rotor/shared/keyring"
	"github.com/rotor-auth/rotor/shared/oauth"
	"github.com/rotor-auth/rotor/shared/session"
	"github.com/rotor-auth/rotor/shared/store"
)

// attemptTimeout limits one attempt of a request to AWS, so that the SDK can retry
// within the invocation. After a function was frozen, its connections may be dead
// without notice.
const attemptTimeout = 1500 * time.Millisecond

// maxBackoff is the longest wait between attempts. The SDK's default of 20 s is
// longer than an invocation.
const maxBackoff = 200 * time.Millisecond

// NewEngine returns the engine that c describes, which reads only the keys that are
// needed. It sends no requests: the first invocation, or a warm-up, reads the keys. The
// SDK's own variables say where AWS is: AWS_REGION, and AWS_ENDPOINT_URL_DYNAMODB for
// another DynamoDB.
func NewEngine(ctx context.Context, c Config, need keyring.Need, log *slog.Logger) (*session.Engine, error) {
	sdk, err := loadSDK(ctx, attemptTimeout)
	if err != nil {
		return nil, err
	}
	keys, err := keysOf(c, sdk, need, log)
	if err != nil {
		return nil, err
	}
	return session.New(session.Config{
		Issuer:  c.Issuer,
		Table:   store.New(sdk, c.Table, c.Retention),
		Keys:    keys,
		Log:     log,
		Metrics: true,
		Stage:   c.Stage,
		Now:     time.Now,

		Providers: foreign.Options{Secret: adoptSecret(sdk)},
	}), nil
}

// NewAPI returns the public endpoints that c describes, over an engine of [NewEngine].
func NewAPI(ctx context.Context, c Config, need keyring.Need, log *slog.Logger) (*oauth.API, error) {
	engine, err := NewEngine(ctx, c, need, log)
	if err != nil {
		return nil, err
	}
	return oauth.New(engine, oauth.Config{Origins: c.Origins, AuthorizationEndpoint: c.AuthorizationEndpoint}), nil
}

// NewTable returns the table that c describes, as [NewEngine] does. It sends no
// requests.
func NewTable(ctx context.Context, c TableConfig) (*store.Table, error) {
	sdk, err := loadSDK(ctx, attemptTimeout)
	if err != nil {
		return nil, err
	}
	return store.New(sdk, c.Table, c.Retention), nil
}

func loadSDK(ctx context.Context, attempt time.Duration) (aws.Config, error) {
	sdk, err := config.LoadDefaultConfig(ctx,
		config.WithHTTPClient(awshttp.NewBuildableClient().WithTimeout(attempt)),
		config.WithRetryer(func() aws.Retryer {
			return retry.NewStandard(func(o *retry.StandardOptions) { o.MaxBackoff = maxBackoff })
		}))
	if err != nil {
		return aws.Config{}, fmt.Errorf("load the SDK's configuration: %w", err)
	}
	if sdk.Region == "" {
		return aws.Config{}, errors.New("AWS_REGION is not set: it must be the region of the table")
	}
	return sdk, nil
}

// keysOf returns the configured source of keys. A file has all of them, whatever is
// needed. It must already exist: otherwise each function would create its own, and none
// would accept the tokens of another.
func keysOf(c Config, sdk aws.Config, need keyring.Need, log *slog.Logger) (keyring.Source, error) {
	if c.KeysFile == "" {
		return keyring.SecretsManager(secretsmanager.NewFromConfig(sdk), c.KeysSecrets, need, log), nil
	}
	if _, err := os.Stat(c.KeysFile); err != nil {
		return nil, fmt.Errorf("find the file of ROTOR_KEYS_FILE: %w", err)
	}
	keys, err := keyring.File(c.KeysFile, "", time.Now())
	if err != nil {
		return nil, fmt.Errorf("read the file of ROTOR_KEYS_FILE: %w", err)
	}
	return keys, nil
}

// NewRotation returns the key rotation that c describes, in the region AWS_REGION.
// It sends no requests.
func NewRotation(ctx context.Context, c KeysConfig, log *slog.Logger) (keyring.Rotation, error) {
	sdk, err := loadSDK(ctx, attemptTimeout)
	if err != nil {
		return keyring.Rotation{}, err
	}
	return keyring.Rotation{
		Client:             secretsmanager.NewFromConfig(sdk),
		Secrets:            c.Secrets,
		Algorithm:          c.Algorithm,
		LongestAccessToken: family.MaxAccessTokenLifetime.Duration(),
		Log:                log,
	}, nil
}

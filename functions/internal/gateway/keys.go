package gateway

import (
	"context"
	"log/slog"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"github.com/rotor-auth/rotor/shared/family"
	"github.com/rotor-auth/rotor/shared/keyring"
)

// NewRotation is the rotation that c asks for, in the region of AWS_REGION. It
// requests nothing.
func NewRotation(ctx context.Context, c KeysConfig, log *slog.Logger) (keyring.Rotation, error) {
	sdk, err := loadSDK(ctx, attemptTimeout)
	if err != nil {
		return keyring.Rotation{}, err
	}
	return keyring.Rotation{
		Client:             secretsmanager.NewFromConfig(sdk),
		Algorithm:          c.Algorithm,
		LongestAccessToken: family.MaxAccessTokenLifetime.Duration(),
		Log:                log,
	}, nil
}

// RotateKeys is a Lambda handler of Secrets Manager's rotation events: each
// invocation is one step. What fails fails the invocation, and Secrets Manager
// begins the rotation again.
func RotateKeys(rotation keyring.Rotation, now func() time.Time) func(context.Context, keyring.RotationEvent) error {
	return func(ctx context.Context, e keyring.RotationEvent) error {
		ctx, cancel := early(ctx)
		defer cancel()
		err := rotation.Step(ctx, now().UTC().Truncate(time.Second), e)
		if err != nil {
			rotation.Log.ErrorContext(ctx, "rotation of keys failed", slog.Any("error", err), slog.String("step", e.Step), slog.String("version", e.Version))
		}
		return err
	}
}

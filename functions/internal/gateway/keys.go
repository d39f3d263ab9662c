package gateway

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
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

// keysAction is what somebody who may invoke the function asks of it, and Secrets
// Manager does not.
type keysAction struct {
	// Action is "emergency", to revoke the keys that the leak names, or "list", to
	// see which there are; "" in an event of Secrets Manager's.
	Action string `json:"action"`
	keyring.Leak
}

// RotateKeys returns a Lambda handler of Secrets Manager's rotation events, each of
// which is one step, and of actions. What fails fails the invocation, and Secrets
// Manager begins the rotation again. An action is about the keys in the secret, and
// its answer says which there are afterwards.
func RotateKeys(rotation keyring.Rotation, secret string, now func() time.Time) func(context.Context, json.RawMessage) (*keyring.Inventory, error) {
	return func(ctx context.Context, payload json.RawMessage) (*keyring.Inventory, error) {
		ctx, cancel := early(ctx)
		defer cancel()
		var step keyring.RotationEvent
		var action keysAction
		err := errors.Join(json.Unmarshal(payload, &step), json.Unmarshal(payload, &action))
		if err != nil {
			return nil, fmt.Errorf("read an event: %w", err)
		}
		at := now().UTC().Truncate(time.Second)
		var keys *keyring.Inventory
		if action.Action == "" {
			err = rotation.Step(ctx, at, step)
		} else {
			keys, err = act(ctx, rotation, secret, at, payload)
		}
		if err != nil {
			rotation.Log.ErrorContext(ctx, "rotation of keys failed", slog.Any("error", err),
				slog.String("step", step.Step), slog.String("version", step.Version), slog.String("action", action.Action))
		}
		return keys, err
	}
}

// act does what the payload asks for. A member that it does not know is an error:
// a key whose name was spelled wrong must not stay in use unnoticed.
func act(ctx context.Context, rotation keyring.Rotation, secret string, now time.Time, payload []byte) (*keyring.Inventory, error) {
	var a keysAction
	strict := json.NewDecoder(bytes.NewReader(payload))
	strict.DisallowUnknownFields()
	err := strict.Decode(&a)
	if err != nil {
		return nil, fmt.Errorf("read an action: %w", err)
	}
	switch {
	case a.Action == "emergency":
		return rotation.Emergency(ctx, now, secret, a.Leak)
	case a.Action == "list" && len(a.MAC)+len(a.Signing) == 0:
		return rotation.Inventory(ctx, now, secret)
	}
	return nil, fmt.Errorf("the action is %q: it must be emergency, with mac or signing or both, or list", a.Action)
}

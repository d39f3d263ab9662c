package keyring

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"
)

// action is an event that an operator sends to the function, as opposed to Secrets
// Manager.
type action struct {
	// Action is "emergency", which revokes the keys in Leak, or "list", which
	// returns the inventory. It is empty in an event of Secrets Manager.
	Action string `json:"action"`
	Leak
}

// Handle carries out an event. That is either a step of Secrets Manager's rotation,
// which Secrets Manager repeats if it fails, or an action on the keys in the secrets,
// after which Handle returns the inventory of those keys.
func (r Rotation) Handle(ctx context.Context, now time.Time, event []byte) (*Inventory, error) {
	var step RotationEvent
	var a action
	err := errors.Join(json.Unmarshal(event, &step), json.Unmarshal(event, &a))
	if err != nil {
		return nil, fmt.Errorf("read an event: %w", err)
	}
	now = now.UTC().Truncate(time.Second)
	var keys *Inventory
	if a.Action == "" {
		err = r.Step(ctx, now, step)
	} else {
		keys, err = r.act(ctx, now, event)
	}
	if err != nil {
		r.Log.ErrorContext(ctx, "rotation of keys failed", slog.Any("error", err),
			slog.String("step", step.Step), slog.String("secret_version", step.Version), slog.String("action", a.Action))
	}
	return keys, err
}

// act carries out an action. It refuses members that it does not know: a misspelled
// member must not leave a leaked key in use unnoticed.
func (r Rotation) act(ctx context.Context, now time.Time, event []byte) (*Inventory, error) {
	var a action
	strict := json.NewDecoder(bytes.NewReader(event))
	strict.DisallowUnknownFields()
	err := strict.Decode(&a)
	if err != nil {
		return nil, fmt.Errorf("read an action: %w", err)
	}
	switch {
	case a.Action == "emergency":
		return r.Emergency(ctx, now, a.Leak)
	case a.Action == "list" && len(a.MAC)+len(a.Signing) == 0:
		return r.Inventory(ctx, now)
	}
	return nil, fmt.Errorf("the action is %q: it must be emergency, with mac or signing or both, or list", a.Action)
}

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

// action is what somebody who may invoke the function asks of it, and Secrets
// Manager does not.
type action struct {
	// Action is "emergency", to revoke the keys that the leak names, or "list", to
	// see which there are; "" in an event of Secrets Manager's.
	Action string `json:"action"`
	Leak
}

// Handle does what an event asks for: a step of Secrets Manager's rotation, of which
// what fails makes Secrets Manager begin again; or an action, which is about the keys in
// the secret: then it returns which there are afterwards.
func (r Rotation) Handle(ctx context.Context, now time.Time, secret string, event []byte) (*Inventory, error) {
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
		keys, err = r.act(ctx, now, secret, event)
	}
	if err != nil {
		r.Log.ErrorContext(ctx, "rotation of keys failed", slog.Any("error", err),
			slog.String("step", step.Step), slog.String("version", step.Version), slog.String("action", a.Action))
	}
	return keys, err
}

// act does what the event asks for. A member that it does not know is an error:
// a key whose name was spelled wrong must not stay in use unnoticed.
func (r Rotation) act(ctx context.Context, now time.Time, secret string, event []byte) (*Inventory, error) {
	var a action
	strict := json.NewDecoder(bytes.NewReader(event))
	strict.DisallowUnknownFields()
	err := strict.Decode(&a)
	if err != nil {
		return nil, fmt.Errorf("read an action: %w", err)
	}
	switch {
	case a.Action == "emergency":
		return r.Emergency(ctx, now, secret, a.Leak)
	case a.Action == "list" && len(a.MAC)+len(a.Signing) == 0:
		return r.Inventory(ctx, now, secret)
	}
	return nil, fmt.Errorf("the action is %q: it must be emergency, with mac or signing or both, or list", a.Action)
}

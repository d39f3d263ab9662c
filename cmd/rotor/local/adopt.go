package local

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
)

// adoptSecrets returns the reader of the secrets with which clients authenticate at other
// providers, in place of Secrets Manager: a file with a JSON object of names and secrets. It is
// read again each time.
func adoptSecrets(path string) func(context.Context, string) (string, error) {
	return func(_ context.Context, name string) (string, error) {
		if path == "" {
			return "", errors.New("ADOPT_SECRETS is not set: it names a file with a JSON object of names and secrets")
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return "", fmt.Errorf("ADOPT_SECRETS: %w", err)
		}
		var secrets map[string]string
		if json.Unmarshal(text, &secrets) != nil { // its error could show a secret
			return "", fmt.Errorf("ADOPT_SECRETS: %s is not a JSON object of names and secrets", path)
		}
		secret, ok := secrets[name]
		if !ok {
			return "", fmt.Errorf("ADOPT_SECRETS: %s has no secret of this name", path)
		}
		return secret, nil
	}
}

package assertion

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/rotor-auth/rotor/shared/outbound"
)

// DefaultTimeout limits one fetch of keys, from the look-up of the host's name to the last
// byte.
const DefaultTimeout = 3 * time.Second

// fetcher fetches JWK Sets.
type fetcher struct{ client *http.Client }

// newFetcher returns a fetcher that connects to public addresses alone, or with loopback
// also to those.
func newFetcher(loopback bool, timeout time.Duration) *fetcher {
	return &fetcher{client: outbound.NewClient(loopback, timeout)}
}

// fetch fetches the keys at an address that Check has accepted.
func (f *fetcher) fetch(ctx context.Context, uri string) ([]jose.JSONWebKey, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, uri, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", "application/jwk-set+json, application/json")
	req.Header.Set("User-Agent", "Rotor")
	resp, err := f.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK { // also of a redirect
		return nil, fmt.Errorf("the answer is %d", resp.StatusCode)
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxSetSize+1))
	switch {
	case err != nil:
		return nil, err
	case len(body) > maxSetSize:
		return nil, fmt.Errorf("the answer is longer than %d bytes", maxSetSize)
	}
	keys, err := parsePublished(body)
	if err != nil {
		return nil, errors.New("the answer: " + err.Error())
	}
	return keys, nil
}

package tokensource

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
)

const (
	proofHeader = "DPoP"
	nonceHeader = "DPoP-Nonce"

	// maxNonces is how often a request is sent again because a server asks for another nonce.
	maxNonces = 2
	// maxError limits what is read of a refusal.
	maxError = 64 << 10
)

// DPoPThumbprint returns the thumbprint of the session's key (RFC 7638), for a login that names
// it: as dpop_jkt in the authorization request (RFC 9449 §10), or in the call of Rotor's that
// starts a family. A key of [WithDPoP] is made and saved first, so that it is not lost
// with the process. It is "" if no key is asked for, and the record has none.
func (s *Source) DPoPThumbprint(ctx context.Context) (string, error) {
	key, err := s.loginKey(ctx)
	if err != nil {
		return "", fmt.Errorf("tokensource: %w", err)
	}
	if key == nil {
		return "", nil
	}
	return key.thumbprint, nil
}

// LoginClient returns a client for the request to the token endpoint that begins the session, such as the
// exchange of a code. It adds the proof that binds the session to the key, and answers
// the server's demand for a nonce:
//
//	client, err := source.LoginClient(ctx)
//	t, err := conf.Exchange(context.WithValue(ctx, oauth2.HTTPClient, client), code, oauth2.VerifierOption(verifier))
//	err = source.Login(ctx, t)
//
// As with [Source.DPoPThumbprint], the key is saved first.
func (s *Source) LoginClient(ctx context.Context) (*http.Client, error) {
	key, err := s.loginKey(ctx)
	if err != nil {
		return nil, fmt.Errorf("tokensource: %w", err)
	}
	return s.proving(*s.client, key), nil
}

// proving returns the client with proofs of the key in its requests, if there is a key.
func (s *Source) proving(client http.Client, key *dpopKey) *http.Client {
	if key != nil {
		client.Transport = &proving{transport(client.Transport), key, s}
	}
	return &client
}

// keyOf returns the key of a session, or nil. One that the program brings counts.
func (s *Source) keyOf(st *state) *dpopKey {
	switch {
	case s.ownKey != nil:
		return s.ownKey
	case st.Key != nil:
		return st.Key.dpopKey
	}
	return nil
}

// loginKey returns the key for a login, or nil. It saves the one that it makes before anything is signed by it.
func (s *Source) loginKey(ctx context.Context) (*dpopKey, error) {
	if s.mistake != nil {
		return nil, s.mistake
	}
	for n := range 8 {
		r, h, err := s.load(ctx)
		if err != nil {
			return nil, err
		}
		if key := s.keyOf(&h.state); key != nil || !s.makesKey {
			return key, nil
		}
		st := h.state
		if st.Key, err = makeKey(); err != nil {
			return nil, err
		}
		if r.Version == 0 {
			st.Logins, st.ObtainedAt = []string{}, time.Unix(0, 0).UTC()
		}
		if err := s.save(ctx, r.Version+1, st); err != nil && !errors.Is(err, ErrConflict) {
			return nil, fmt.Errorf("save a new DPoP key: %w", err)
		}
		// What is read back counts: another process may have been first.
		if _, h, err = s.load(ctx); err != nil {
			return nil, err
		}
		if key := s.keyOf(&h.state); key != nil {
			return key, nil
		}
		if err := s.clock.sleep(ctx, poll(n)); err != nil {
			return nil, err
		}
	}
	return nil, fmt.Errorf("save a new DPoP key: %w", ErrConflict)
}

// nonces has the last nonce of each server (RFC 9449 §8).
type nonces struct {
	mu sync.Mutex
	of map[[3]string]string
}

func (n *nonces) get(u *url.URL) string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.of[origin(u)]
}

// note keeps the nonce of a response, and reports whether there is one.
func (n *nonces) note(u *url.URL, resp *http.Response) bool {
	nonce := resp.Header.Get(nonceHeader)
	if nonce == "" {
		return false
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.of == nil {
		n.of = map[[3]string]string{}
	}
	n.of[origin(u)] = nonce
	return true
}

// prove adds a proof to a request, for the access token that it presents, if any.
func (s *Source) prove(req *http.Request, key *dpopKey, accessToken string) error {
	target := *req.URL
	target.RawQuery, target.ForceQuery, target.Fragment, target.RawFragment, target.User = "", false, "", "", nil
	if target.Path == "" {
		target.Path = "/"
	}
	proof, err := key.proof(req.Method, target.String(), accessToken, s.nonces.get(req.URL), s.clock.now().wall)
	if err != nil {
		return err
	}
	req.Header.Set(proofHeader, proof)
	return nil
}

// proving is a round tripper for the token endpoint that adds proofs of a key. A request that is refused for its nonce
// has changed nothing at the server, and is sent again with the nonce of the answer.
type proving struct {
	base http.RoundTripper
	key  *dpopKey
	s    *Source
}

// RoundTrip implements [http.RoundTripper].
func (p *proving) RoundTrip(req *http.Request) (*http.Response, error) {
	var body []byte
	if req.Body != nil {
		var err error
		body, err = io.ReadAll(req.Body)
		if err = errors.Join(err, req.Body.Close()); err != nil {
			return nil, err
		}
	}
	for n := 0; ; n++ {
		proven := req.Clone(req.Context()) // a round tripper must not change its request
		proven.Body = io.NopCloser(bytes.NewReader(body))
		proven.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil }
		if err := p.s.prove(proven, p.key, ""); err != nil {
			return nil, err
		}
		resp, err := p.base.RoundTrip(proven)
		if err != nil || !p.s.nonces.note(req.URL, resp) || n == maxNonces || resp.StatusCode < 400 || resp.StatusCode > 401 {
			return resp, err
		}
		answer, err := io.ReadAll(io.LimitReader(resp.Body, maxError))
		if err = errors.Join(err, resp.Body.Close()); err != nil {
			return nil, err
		}
		if !bytes.Contains(answer, []byte(`"use_dpop_nonce"`)) {
			resp.Body = io.NopCloser(bytes.NewReader(answer))
			return resp, nil
		}
	}
}

// wantsNonce reports whether a resource server asks for a proof with another nonce (RFC 9449 §9).
func wantsNonce(resp *http.Response) bool {
	return resp.StatusCode == http.StatusUnauthorized && strings.Contains(strings.Join(resp.Header.Values("WWW-Authenticate"), ", "), "use_dpop_nonce")
}

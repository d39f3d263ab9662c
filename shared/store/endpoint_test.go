package store_test

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/rotor-auth/rotor/shared/family"
	"github.com/rotor-auth/rotor/shared/store"
)

// sent keeps the requests that it fails.
type sent struct{ requests []*http.Request }

func (s *sent) RoundTrip(r *http.Request) (*http.Response, error) {
	s.requests = append(s.requests, r)
	return nil, errors.New("not sent")
}

// TestEndpointFollowsAccount checks that a request goes to the endpoint of the account whose credentials
// sign it, also once they are another account's. Each attempt of it goes there, and says its number, but has
// no random number.
func TestEndpointFollowsAccount(t *testing.T) {
	var account string
	rt := &sent{}
	table := store.New(aws.Config{
		Region: "eu-central-1", HTTPClient: &http.Client{Transport: rt}, AccountIDEndpointMode: aws.AccountIDEndpointModePreferred,
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: "id", SecretAccessKey: "secret", AccountID: account}, nil
		}),
	}, "rotor", store.DefaultRetention)
	for _, tt := range []struct{ account, host string }{
		{"111122223333", "111122223333.ddb.eu-central-1.amazonaws.com"},
		{"111122223333", "111122223333.ddb.eu-central-1.amazonaws.com"},
		{"444455556666", "444455556666.ddb.eu-central-1.amazonaws.com"},
		{"", "dynamodb.eu-central-1.amazonaws.com"},
		{"111122223333", "111122223333.ddb.eu-central-1.amazonaws.com"},
	} {
		account, rt.requests = tt.account, nil
		if _, err := table.Family(t.Context(), family.ID{1}); err == nil {
			t.Fatal("nothing was sent, and yet there is an answer")
		}
		var attempts []string
		for _, r := range rt.requests {
			if r.URL.Scheme != "https" || r.URL.Host != tt.host || r.Header.Get("Authorization") == "" {
				t.Errorf("of account %q, sent to %s is %v", tt.account, r.URL, r.Header)
			}
			if got := r.Header.Get("Amz-Sdk-Invocation-Id"); got != "" {
				t.Errorf("the invocation has the id %s", got)
			}
			attempts = append(attempts, r.Header.Get("Amz-Sdk-Request"))
		}
		if want := []string{"attempt=1; max=3", "attempt=2; max=3", "attempt=3; max=3"}; !slices.Equal(attempts, want) {
			t.Errorf("the attempts are %q", attempts)
		}
	}
}

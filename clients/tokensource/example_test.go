package tokensource_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/oauth2"

	"github.com/rotor-auth/rotor/clients/tokensource"
)

// exampleProvider and exampleAPI stand for a provider whose refresh tokens rotate and for the API
// that its access tokens are for.
var (
	exampleProvider = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if r.PostFormValue("refresh_token") == "revoked" {
			w.WriteHeader(http.StatusBadRequest)
			_, _ = fmt.Fprint(w, `{"error":"invalid_grant"}`)
			return
		}
		_, _ = fmt.Fprintf(w, `{"access_token":"access","refresh_token":"%s-next","expires_in":3600}`, r.PostFormValue("refresh_token"))
	}))
	exampleAPI = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = fmt.Fprint(w, r.Header.Get("Authorization") != "")
	}))
)

// A program calls an API in the name of a user who has logged in once. The session
// survives however many processes run, and whenever they die.
func Example() {
	conf := &oauth2.Config{ClientID: "backend", Endpoint: oauth2.Endpoint{TokenURL: exampleProvider.URL}}
	folder, err := os.MkdirTemp("", "tokensource")
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = os.RemoveAll(folder) }()

	source := tokensource.New(conf, tokensource.NewFile(filepath.Join(folder, "alice.token")))

	// After the login, with the provider's response. Repeating this with the same
	// token, for example at each start, changes nothing.
	if err := source.Login(context.Background(), &oauth2.Token{RefreshToken: "first"}); err != nil {
		log.Fatal(err)
	}

	resp, err := source.Client().Get(exampleAPI.URL)
	if err != nil {
		log.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	fmt.Println("with a token:", string(body), err)
	// Output: with a token: true <nil>
}

// A dead token gives a specific error. The provider is asked once. After that, every
// process that shares the store knows.
func Example_loginRequired() {
	conf := &oauth2.Config{ClientID: "backend", Endpoint: oauth2.Endpoint{TokenURL: exampleProvider.URL}}
	source := tokensource.New(conf, tokensource.NewMemory())
	if err := source.Login(context.Background(), &oauth2.Token{RefreshToken: "revoked"}); err != nil {
		log.Fatal(err)
	}

	_, err := source.Token()
	var answer *oauth2.RetrieveError
	switch {
	case errors.Is(err, tokensource.ErrLoginRequired) && errors.As(err, &answer):
		fmt.Println("send the user to the login:", answer.ErrorCode)
	case err != nil:
		fmt.Println("try again later:", err)
	}
	// Output: send the user to the login: invalid_grant
}

// The reuse interval is how long the provider accepts a token that it has replaced.
// 0 means that it never does.
func ExampleWithReuseInterval() {
	conf := &oauth2.Config{ClientID: "backend", Endpoint: oauth2.Endpoint{TokenURL: exampleProvider.URL}}
	source := tokensource.New(conf, tokensource.NewMemory(), tokensource.WithReuseInterval(10*time.Second))
	fmt.Println(source)
	// Output: [token source]
}

// A deadline limits how long a caller waits. The refresh continues without it,
// because the result must be saved.
func ExampleSource_TokenContext() {
	conf := &oauth2.Config{ClientID: "backend", Endpoint: oauth2.Endpoint{TokenURL: exampleProvider.URL}}
	source := tokensource.New(conf, tokensource.NewMemory())
	if err := source.Login(context.Background(), &oauth2.Token{RefreshToken: "first"}); err != nil {
		log.Fatal(err)
	}

	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	token, err := source.TokenContext(ctx)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(token.Type(), time.Until(token.Expiry) > 59*time.Minute)
	// Output: Bearer true
}

// Transport adds the token to requests through a transport of your own.
func ExampleTransport() {
	conf := &oauth2.Config{ClientID: "backend", Endpoint: oauth2.Endpoint{TokenURL: exampleProvider.URL}}
	source := tokensource.New(conf, tokensource.NewMemory())
	if err := source.Login(context.Background(), &oauth2.Token{RefreshToken: "first"}); err != nil {
		log.Fatal(err)
	}

	client := &http.Client{
		Transport: &tokensource.Transport{Source: source, Base: &http.Transport{MaxIdleConnsPerHost: 16}},
		Timeout:   10 * time.Second,
	}
	resp, err := client.Get(exampleAPI.URL)
	if err != nil {
		log.Fatal(err)
	}
	defer resp.Body.Close()
	fmt.Println(resp.Status)
	// Output: 200 OK
}

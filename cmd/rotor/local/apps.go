package local

import (
	"net/http"
	"slices"

	"github.com/rotor-auth/rotor/clients/manage"
	"github.com/rotor-auth/rotor/cmd/rotor/demo"
)

// newDemo returns the demo's login and apps, whose own calls stay in this process.
func newDemo(c *config, issuer string, clock *clock, clients []demoClient, api http.Handler) (*demo.Demo, error) {
	login, err := manage.New(issuer, manage.Options{
		HTTPClient: &http.Client{Transport: inProcess{c, api, "127.0.0.1", ""}}, UserAgent: "rotor-demo-login",
	})
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(clients, func(c demoClient) bool { return c.ID == demo.ServerClient })
	return demo.New(demo.Config{
		API: login, Server: inProcess{c, api, "127.0.0.1", "rotor-demo-app"},
		Issuer: issuer, Host: c.addr.host, Secret: clients[i].secret, Now: clock.now,
	})
}

// withDemo returns a handler that serves the demo, and passes other requests to next. The demo
// guards itself.
func withDemo(c *config, apps *demo.Demo, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if demo.Owns(c.pathOf(r)) {
			apps.ServeHTTP(w, r)
			return
		}
		next.ServeHTTP(w, r)
	})
}

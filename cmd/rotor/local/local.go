// Package local runs the whole API in one process, on loopback, for trying it out,
// for development and for tests. It needs neither AWS nor Docker, and its management
// calls need no signature.
package local

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"runtime"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/rotor-auth/rotor/cmd/rotor/demo"
	"github.com/rotor-auth/rotor/cmd/rotor/loopback"
	"github.com/rotor-auth/rotor/shared/assertion"
	"github.com/rotor-auth/rotor/shared/foreign"
	"github.com/rotor-auth/rotor/shared/keyring"
	"github.com/rotor-auth/rotor/shared/server"
	"github.com/rotor-auth/rotor/shared/signing"
	"github.com/rotor-auth/rotor/shared/store"
	"github.com/rotor-auth/rotor/shared/store/embedded"
)

const (
	startTimeout    = 30 * time.Second // for the table and the demo clients
	requestTimeout  = 30 * time.Second // of the API's own work; revoking many families may take 20 s
	shutdownTimeout = requestTimeout   // for the requests in progress, which take at most that long

	// databaseConns is how many requests to DynamoDB run at a time, each on a
	// connection that is kept. For 1,000 callers at once the SDK would open 1,000
	// connections, and keep 10.
	databaseConns = 64
)

// Run serves the API, configured by the environment, until ctx is done. It then
// gives the requests in progress 30 s to finish. Once it can answer requests, it
// writes its [welcome] to stdout in one piece. It logs to stderr.
func Run(ctx context.Context, getenv func(string) string, stdout, stderr io.Writer) error {
	// The garbage collector runs when the heap has doubled. With a heap of less than
	// 4 MB, that took a fifth of all CPU time under load. The ballast counts as
	// heap, but takes no memory because nothing touches it; it only lets as much
	// garbage accumulate: some 15 MB with what the program has in use. A higher GOGC
	// would also multiply a large heap.
	ballast := make([]byte, 8<<20)
	defer runtime.KeepAlive(ballast)
	c, err := loadConfig(getenv)
	if err != nil {
		return err
	}
	listener, err := listen(ctx, c.addr)
	if err != nil {
		return err
	}
	defer func() { _ = listener.Close() }() // closed already if it was served on

	trail := newTrail()
	log := slog.New(trail.handler(slog.NewJSONHandler(stderr, nil)))
	clock := &clock{}
	keys, err := openKeys(c, clock.now())
	if err != nil {
		return err
	}
	starting, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	table := store.New(databaseOf(c), c.table, store.DefaultRetention)
	if err := table.Create(starting); err != nil {
		return err
	}
	// The address is that which is listened on. A browser tries ::1 first for localhost, where
	// somebody else may listen.
	issuer := "http://" + listener.Addr().String() + c.base
	settings := server.Config{
		Issuer: issuer, Table: table, Keys: keys, Log: log, Now: clock.now,
		Origins: c.origins, Timeout: requestTimeout, Assertions: assertion.Options{Loopback: true},
		Providers:             foreign.Options{Loopback: true, Secret: adoptSecrets(c.adopt)},
		AuthorizationEndpoint: cmp.Or(c.login, issuer+demo.LoginPath),
	}
	handler := server.New(settings).Handler()
	// Registering the demo clients is not logged; the log begins after it.
	prepared := settings
	prepared.Log = slog.New(slog.NewJSONHandler(stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	clients, err := demoClients(starting, server.New(prepared).Handler(), issuer)
	if err != nil {
		return err
	}
	current, err := keys.Keys(starting, clock.now())
	if err != nil {
		return err
	}
	cancel()

	sweep := sweeper{clock, table, log}
	console, err := newConsole(c, issuer, sweep, trail, clients, handler, log)
	if err != nil {
		return err
	}
	apps, err := newDemo(c, issuer, clock, clients, handler)
	if err != nil {
		return err
	}
	server := &http.Server{
		Handler: logRequests(c, log, withConsole(c, console, withDemo(c, apps, guard(c, withDebug(c, withLocal(c, sweep, handler)))))),
		// As long as IdleTimeout, because clients also keep connections that they
		// have not used yet, and may use one just as it is being closed.
		ReadHeaderTimeout: 2 * time.Minute,
		ReadTimeout:       2 * time.Minute,
		WriteTimeout:      time.Minute, // moving the clock may purge many records
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	}
	sweeping, stopSweeping := context.WithCancel(ctx)
	var background sync.WaitGroup
	background.Go(func() { sweep.run(sweeping) })
	defer background.Wait()
	defer stopSweeping()
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	text := welcome(c, issuer, current.Signing.Algorithms(clock.now()), clients)
	if _, err := io.WriteString(stdout, text); err != nil {
		return errors.Join(fmt.Errorf("write the welcome: %w", err), server.Close())
	}
	select {
	case err := <-served:
		return fmt.Errorf("serve: %w", err)
	case <-ctx.Done():
	}
	return shutdown(ctx, server)
}

// shutdown stops the server, after [shutdownTimeout] at the latest.
func shutdown(ctx context.Context, server *http.Server) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTimeout)
	defer cancel()
	if err := server.Shutdown(ctx); err != nil {
		return errors.Join(fmt.Errorf("stop: requests were cut off: %w", err), server.Close())
	}
	return nil
}

// listen listens on a, which must be a loopback address.
func listen(ctx context.Context, a address) (net.Listener, error) {
	listener, err := loopback.Listen(ctx, a.String())
	if err != nil {
		return nil, fmt.Errorf("ADDR %w", err)
	}
	return listener, nil
}

// openKeys returns the keys in the configured file, or new ones for this run.
func openKeys(c *config, now time.Time) (keyring.Source, error) {
	if c.keys != "" {
		return keyring.File(c.keys, c.alg, now)
	}
	d, err := keyring.Generate(cmp.Or(c.alg, signing.RS256), now)
	if err != nil {
		return nil, err
	}
	return keyring.Local(d)
}

// databaseOf returns the SDK configuration of the configured DynamoDB, or of a new,
// empty one in this process.
func databaseOf(c *config) aws.Config {
	if c.dynamodb == "" {
		return embedded.Config(embedded.New())
	}
	return aws.Config{
		Region:       c.region,
		Credentials:  credentials.NewStaticCredentialsProvider(c.accessKeyID, c.secretAccessKey, c.sessionToken),
		BaseEndpoint: &c.dynamodb,
		HTTPClient: awshttp.NewBuildableClient().WithTransportOptions(func(t *http.Transport) {
			t.MaxConnsPerHost, t.MaxIdleConnsPerHost, t.MaxIdleConns = databaseConns, databaseConns, databaseConns
		}),
	}
}

// Package local runs the whole of Rotor's API in one process, on loopback: for
// trying it out, for developing against it and for tests. It needs neither AWS
// nor Docker, and nobody's permission: management calls need no signature here.
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
	"net/netip"
	"runtime"
	"strconv"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/rotor-auth/rotor/shared/keyring"
	"github.com/rotor-auth/rotor/shared/server"
	"github.com/rotor-auth/rotor/shared/signing"
	"github.com/rotor-auth/rotor/shared/store"
	"github.com/rotor-auth/rotor/shared/store/embedded"
)

const (
	startTimeout    = 30 * time.Second // for the table and the demo clients
	requestTimeout  = 30 * time.Second // of the API's own work, of which a revocation of many may take 20 s
	shutdownTimeout = requestTimeout   // for the requests under way, which take no longer

	// databaseConns is how many requests are with DynamoDB at a time, each on a
	// connection that is kept. The SDK would open one for each of 1,000 callers at
	// once, and keep 10.
	databaseConns = 64
)

// Run serves the API, as the environment asks for it, until ctx is done, then gives
// the requests under way half a minute to finish. Once requests are answered, and not
// before, it writes the whole of its [welcome] to stdout, for a person to read. Stderr
// gets the log lines.
func Run(ctx context.Context, getenv func(string) string, stdout, stderr io.Writer) error {
	// The garbage collector runs when the heap has doubled, and there are no 4 MB in
	// it: under load that was a fifth of all CPU time. Ballast counts as heap, and
	// since nobody touches it takes no memory; what does is the garbage, as much as
	// the ballast, that may lie now. A higher GOGC would multiply a large heap too.
	ballast := make([]byte, 12<<20)
	defer runtime.KeepAlive(ballast)
	c, err := loadConfig(getenv)
	if err != nil {
		return err
	}
	listener, err := listen(ctx, c.addr)
	if err != nil {
		return err
	}
	defer func() { _ = listener.Close() }() // closed already where it was served on

	log := slog.New(slog.NewJSONHandler(stderr, nil))
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
	issuer := "http://" + net.JoinHostPort(c.addr.host, portOf(listener)) + c.base
	settings := server.Config{
		Issuer: issuer, Table: table, Keys: keys, Log: log, Now: clock.now,
		Origins: c.origins, Timeout: requestTimeout,
	}
	handler := server.New(settings).Handler()
	// Of the demo clients nobody wants to read in the log: it is about what comes then.
	prepared := settings
	prepared.Log = slog.New(slog.NewJSONHandler(stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	demo, err := demoClients(starting, server.New(prepared).Handler())
	if err != nil {
		return err
	}
	current, err := keys.Keys(starting, clock.now())
	if err != nil {
		return err
	}
	cancel()

	sweep := sweeper{clock, table, log}
	server := &http.Server{
		Handler: logRequests(c, log, guard(c, withDebug(c, withLocal(c, sweep, handler)))),
		// As long as IdleTimeout: clients keep connections that they have opened and not
		// yet used, and cannot know that one is being closed when they do use it.
		ReadHeaderTimeout: 2 * time.Minute,
		ReadTimeout:       2 * time.Minute,
		WriteTimeout:      time.Minute, // moving the clock may have much to purge
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
	text := welcome(c, issuer, current.Signing.Algorithms(clock.now()), demo)
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

// shutdown stops the server, at the latest after [shutdownTimeout].
func shutdown(ctx context.Context, server *http.Server) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTimeout)
	defer cancel()
	if err := server.Shutdown(ctx); err != nil {
		return errors.Join(fmt.Errorf("stop: requests were cut off: %w", err), server.Close())
	}
	return nil
}

// listen listens on a, and nowhere but on loopback whatever its name means here.
func listen(ctx context.Context, a address) (net.Listener, error) {
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", a.String())
	if err != nil {
		return nil, fmt.Errorf("ADDR %s: %w", a, err)
	}
	bound, err := netip.ParseAddrPort(listener.Addr().String())
	if err != nil || !bound.Addr().IsLoopback() {
		_ = listener.Close() // never served on
		return nil, fmt.Errorf("ADDR %s: %s means %s here, which is not loopback", a, a.host, listener.Addr())
	}
	return listener, nil
}

func portOf(listener net.Listener) string {
	addr, ok := listener.Addr().(*net.TCPAddr)
	if !ok {
		return ""
	}
	return strconv.Itoa(addr.Port)
}

// openKeys are the keys in the configured file, or new ones that end with the
// program.
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

// databaseOf is the configured DynamoDB, or a new and empty one in this process.
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

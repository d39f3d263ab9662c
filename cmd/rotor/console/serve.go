package console

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/rotor-auth/rotor/clients/manage"
	"github.com/rotor-auth/rotor/cmd/rotor/loopback"
)

// maxHeader limits the header of a request. A browser also sends the cookies of other servers on
// this machine, at most 180 of 4 KiB.
const maxHeader = 1 << 20

// Serve serves the console of a service on loopback until ctx is done. It writes the address to
// open to out. Requests are not logged.
func Serve(ctx context.Context, address string, api *manage.Client, now func() time.Time, out, errs io.Writer) error {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return err
	}
	listener, err := loopback.Listen(ctx, address)
	if err != nil {
		return err
	}
	defer func() { _ = listener.Close() }() // closed already if it was served on
	// A name such as localhost may have several addresses, and on another one another user may
	// listen: the address to open is the one that was bound.
	bound := listener.Addr().String()
	_, port, err := net.SplitHostPort(bound)
	if err != nil {
		return err
	}
	key := NewKey(port)
	server := &http.Server{
		Handler:           New(Config{API: api, Now: now, Host: host, Key: key, Log: slog.New(slog.NewTextHandler(errs, nil))}),
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       time.Minute,
		WriteTimeout:      2 * time.Minute,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    maxHeader,
		ErrorLog:          log.New(errs, "", log.LstdFlags), // of connections and bugs
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	_, err = fmt.Fprintf(out, "The console of %s is ready. This address opens it once, in one browser:\n\n  %s\n\nCtrl-C stops it.\n",
		api.Address(), key.Address("http://"+bound))
	if err != nil {
		return errors.Join(fmt.Errorf("write the address: %w", err), server.Close())
	}
	select {
	case err := <-served:
		return fmt.Errorf("serve: %w", err)
	case <-ctx.Done():
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), pageTimeout)
	defer cancel()
	if err := server.Shutdown(ctx); err != nil {
		return errors.Join(fmt.Errorf("stop: %w", err), server.Close())
	}
	return nil
}

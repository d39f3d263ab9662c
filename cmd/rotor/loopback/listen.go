package loopback

import (
	"context"
	"fmt"
	"net"
	"net/netip"
)

// Listen listens on host:port, which must be a loopback address, whatever its name resolves to.
func Listen(ctx context.Context, address string) (net.Listener, error) {
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", address, err)
	}
	bound, err := netip.ParseAddrPort(listener.Addr().String())
	if err != nil || !bound.Addr().IsLoopback() {
		_ = listener.Close() // never served on
		return nil, fmt.Errorf("%s: it resolves to %s, which is not loopback", address, listener.Addr())
	}
	return listener, nil
}

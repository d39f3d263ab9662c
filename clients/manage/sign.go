package manage

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/netip"
	"time"
)

// signingName is the name of API Gateway in signatures.
const signingName = "execute-api"

// sign signs the request with AWS Signature Version 4, if there are credentials.
func (c *Client) sign(ctx context.Context, r *http.Request, body []byte) error {
	if c.aws == nil {
		return nil
	}
	credentials, err := c.aws.Credentials.Retrieve(ctx)
	if err != nil {
		return fmt.Errorf("there are no AWS credentials to sign the call with: %w", err)
	}
	sum := sha256.Sum256(body)
	now := time.Now() //nolint:forbidigo // a signature has the time of the call
	if err := c.signer.SignHTTP(ctx, credentials, r, hex.EncodeToString(sum[:]), signingName, c.aws.Region, now); err != nil {
		return fmt.Errorf("sign the call: %w", err)
	}
	return nil
}

func isLoopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || (err == nil && ip.IsLoopback())
}

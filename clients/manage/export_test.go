package manage

import (
	"context"
	"time"
)

// WaitWith makes the client call wait instead of waiting before it repeats a call.
func (c *Client) WaitWith(wait func(context.Context, time.Duration) error) { c.wait = wait }

package main

// bucket is a token bucket: in t seconds it lets at most rate × t + burst pass.
type bucket struct {
	rate, burst float64 // per second, and at once
	tokens      float64
	filled      int32 // ms
}

func newBucket(rate, burst float64) bucket { return bucket{rate: rate, burst: burst, tokens: burst} }

// has reports whether one may pass at now.
func (b *bucket) has(now int32) bool {
	b.tokens = min(b.burst, b.tokens+b.rate*float64(now-b.filled)/1000)
	b.filled = now
	return b.tokens >= 1
}

// take takes a token, and reports whether there was one.
func (b *bucket) take(now int32) bool {
	if !b.has(now) {
		return false
	}
	b.tokens--
	return true
}

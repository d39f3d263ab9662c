package main

// bucket is a token bucket: in t seconds it lets no more pass than rate × t + burst.
type bucket struct {
	rate, burst float64 // a second; at once
	tokens      float64
	filled      int32 // ms
}

func newBucket(rate, burst float64) bucket { return bucket{rate: rate, burst: burst, tokens: burst} }

// has says whether one may pass at now.
func (b *bucket) has(now int32) bool {
	b.tokens = min(b.burst, b.tokens+b.rate*float64(now-b.filled)/1000)
	b.filled = now
	return b.tokens >= 1
}

// take lets one pass, or does not.
func (b *bucket) take(now int32) bool {
	if !b.has(now) {
		return false
	}
	b.tokens--
	return true
}

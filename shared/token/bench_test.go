package token_test

import "testing"

func BenchmarkMint(b *testing.B) {
	c := newCodec(b)
	tok := sample(b)
	b.ReportAllocs()
	for b.Loop() {
		_ = c.Mint(tok, start)
	}
}

func BenchmarkParse(b *testing.B) {
	c := newCodec(b)
	s := c.Mint(sample(b), start).Reveal()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := c.Parse(s); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkUserKey(b *testing.B) {
	u := newUserKeys(b)
	b.ReportAllocs()
	for b.Loop() {
		_ = u.Key("auth0|5f7c8ec7c33c6c004bbafe82")
	}
}

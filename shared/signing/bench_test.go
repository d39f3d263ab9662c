package signing_test

import (
	"testing"

	"github.com/rotor-auth/rotor/shared/signing"
)

func BenchmarkSignAccess(b *testing.B) {
	for _, alg := range []signing.Algorithm{signing.RS256, signing.ES256} {
		b.Run(string(alg), func(b *testing.B) {
			set := newSet(b, newKey(b, alg, epoch()))
			b.ReportAllocs()
			for b.Loop() {
				signAccess(b, set, epoch(), access())
			}
		})
	}
}

func BenchmarkVerify(b *testing.B) {
	for _, alg := range []signing.Algorithm{signing.RS256, signing.ES256} {
		b.Run(string(alg), func(b *testing.B) {
			set := newSet(b, newKey(b, alg, epoch()))
			tok := signAccess(b, set, epoch(), access())
			b.ReportAllocs()
			for b.Loop() {
				_, err := set.Verify(tok, issuer, epoch())
				if err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

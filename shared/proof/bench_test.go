package proof_test

import (
	"testing"

	"github.com/rotor-auth/rotor/shared/proof"
)

func BenchmarkCheckDPoP(b *testing.B) {
	for _, alg := range algorithms {
		b.Run(alg, func(b *testing.B) {
			headers := []string{dpop(b, alg, keyFor(alg), nil, nil)}
			want := expected()
			b.ReportAllocs()
			for b.Loop() {
				if _, err := proof.CheckDPoP(headers, want); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkCheckRenewal(b *testing.B) {
	for _, alg := range []string{"ES256", "RS256"} {
		b.Run(alg, func(b *testing.B) {
			key, _, _, err := proof.CheckRegistration([]string{registration(b, alg, keyFor(alg), nil, nil)})
			if err != nil {
				b.Fatal(err)
			}
			stored, err := key.MarshalBinary()
			if err != nil {
				b.Fatal(err)
			}
			headers := []string{`"` + renewal(b, alg, keyFor(alg), nil, nil) + `"`}
			b.ReportAllocs()
			for b.Loop() {
				key, err := proof.ParseDeviceKey(stored)
				if err != nil {
					b.Fatal(err)
				}
				if _, err := proof.CheckRenewal(headers, key); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

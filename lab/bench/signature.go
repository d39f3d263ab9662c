package main

import (
	"fmt"
	"syscall"
	"time"

	"github.com/rotor-auth/rotor/lab/inside"
	"github.com/rotor-auth/rotor/shared/signing"
)

// enough is the CPU time for which signatures are made.
const enough = 300 * time.Millisecond

// signatureCPU returns the CPU time of an access token's signature in ms, including
// the garbage collector's work for it. A clock would also count other programs.
func signatureCPU(algorithm string) (float64, error) {
	alg, err := signing.ParseAlgorithm(algorithm)
	if err != nil {
		return 0, err
	}
	now := time.Now()
	key, err := signing.GenerateKey(alg, now)
	if err != nil {
		return 0, err
	}
	set, err := signing.NewSet([]signing.Key{key})
	if err != nil {
		return 0, err
	}
	access := signing.Access{
		Issuer: "https://auth.example.com", Subject: inside.User, Audience: signing.Audience{"https://api.example.com"}, ClientID: "app",
		Scope: "openid profile read write", SessionID: "01JNWAAAAAAAAAAAAAAAAAAAAA", IssuedAt: now, ExpiresAt: now.Add(time.Hour),
	}
	before, err := ownCPU()
	if err != nil {
		return 0, err
	}
	for n := 1; ; n++ {
		if _, err := set.SignAccess(now, access); err != nil {
			return 0, err
		}
		after, err := ownCPU()
		if err != nil {
			return 0, err
		}
		if after-before >= enough {
			return milliseconds(after-before) / float64(n), nil
		}
	}
}

// ownCPU returns the CPU time of this process.
func ownCPU() (time.Duration, error) {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0, fmt.Errorf("measure CPU time: %w", err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano()), nil
}

package token

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"hash"
	"sync"
)

// mac computes HMAC-SHA-256 under one secret. It is safe for concurrent use.
type mac struct {
	states sync.Pool // holds *macState
}

// macState holds what one computation needs. It is pooled because preparing an HMAC costs two
// blocks of hashing, and because arguments to the hash.Hash interface would otherwise be
// allocated in every call.
type macState struct {
	hash hash.Hash
	in   [128]byte
	out  [sha256.Size]byte
}

// newMAC returns a mac under a copy of secret.
func newMAC(secret []byte) *mac {
	secret = bytes.Clone(secret)
	m := new(mac)
	m.states.New = func() any { return &macState{hash: hmac.New(sha256.New, secret)} }
	return m
}

// sum returns the MAC of message, without allocating.
func sum[M string | []byte](m *mac, message M) [sha256.Size]byte {
	s := m.states.Get().(*macState)
	defer m.states.Put(s)
	s.hash.Reset()
	for len(message) > 0 {
		n := copy(s.in[:], message)
		s.hash.Write(s.in[:n])
		message = message[n:]
	}
	s.hash.Sum(s.out[:0])
	return s.out
}

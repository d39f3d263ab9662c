package proof_test

import (
	"errors"
	"testing"

	"github.com/rotor-auth/rotor/shared/proof"
)

// TestRFC9449 checks the proof of RFC 9449 §4.1. It is signed well, but has no nonce.
func TestRFC9449(t *testing.T) {
	const example = "eyJ0eXAiOiJkcG9wK2p3dCIsImFsZyI6IkVTMjU2IiwiandrIjp7Imt0eSI6Ik" +
		"VDIiwieCI6Imw4dEZyaHgtMzR0VjNoUklDUkRZOXpDa0RscEJoRjQyVVFVZldWQVdCR" +
		"nMiLCJ5IjoiOVZFNGpmX09rX282NHpiVFRsY3VOSmFqSG10NnY5VERWclUwQ2R2R1JE" +
		"QSIsImNydiI6IlAtMjU2In19.eyJqdGkiOiItQndDM0VTYzZhY2MybFRjIiwiaHRtIj" +
		"oiUE9TVCIsImh0dSI6Imh0dHBzOi8vc2VydmVyLmV4YW1wbGUuY29tL3Rva2VuIiwia" +
		"WF0IjoxNTYyMjYyNjE2fQ.2-GxA6T8lP4vfrg8v-FdWP0A0zdrj8igiMLvqRMUvwnQg" +
		"4PtFLbdLXiOSsX0x7NVY-FNyJK70nfbV37xRZT3Lg"
	_, err := proof.CheckDPoP([]string{example}, proof.Expected{})
	var refused *proof.RefusedError
	if !errors.As(err, &refused) || refused.Reason != proof.NoNonce || !refused.NeedsNonce() {
		t.Errorf("it is refused for %v", err)
	}
}

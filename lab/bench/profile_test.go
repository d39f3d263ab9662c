package main

import (
	"strings"
	"testing"

	"github.com/google/pprof/profile"
)

// stack returns a sample of a stack of these functions, the innermost first.
func stack(took int64, functions ...string) *profile.Sample {
	s := &profile.Sample{Value: []int64{1, took}}
	for _, name := range functions {
		s.Location = append(s.Location, &profile.Location{Line: []profile.Line{{Function: &profile.Function{Name: name}}}})
	}
	return s
}

// TestSharesOf checks that a stack counts for its purpose, whatever it calls and whatever
// calls it.
func TestSharesOf(t *testing.T) {
	const (
		sdk     = "github.com/aws/aws-sdk-go-v2/service/dynamodb.(*Client).invokeOperation"
		table   = "github.com/rotor-auth/rotor/shared/store.(*Table).Refresh"
		handler = "github.com/rotor-auth/rotor/shared/oauth.(*API).token"
		server  = "net/http.(*conn).serve"
	)
	p := &profile.Profile{
		SampleType: []*profile.ValueType{{Type: "samples"}, {Type: "cpu"}},
		Sample: []*profile.Sample{
			stack(1, "crypto/internal/fips140/nistec.p256OrdSqr", "crypto/ecdsa.Sign", "github.com/rotor-auth/rotor/shared/signing.sign", handler, server),
			stack(2, "runtime.mallocgc", "encoding/json.Marshal", "github.com/rotor-auth/rotor/shared/signing.sign", handler, server),
			stack(4, "internal/runtime/syscall/linux.Syscall6", "net.(*conn).Write", "net/http.(*persistConn).writeLoop"),
			stack(8, "net/http.(*Client).do", "github.com/rotor-auth/rotor/shared/store.inMemory.Do", sdk, table, handler, server),
			stack(16, "runtime.mapassign", sdk, table, handler, server),
			stack(32, "github.com/aws/aws-sdk-go-v2/feature/dynamodb/attributevalue.UnmarshalMap", table, handler, server),
			stack(64, "runtime.gcAssistAlloc", "runtime.mallocgc", handler, server),
			stack(128, "internal/runtime/syscall/linux.Syscall6", "bufio.(*Writer).Flush", server),
			stack(256, "runtime.futex", "runtime.findRunnable", "runtime.mcall"),
			stack(512, "github.com/rotor-auth/rotor/cmd/rotor/local.loggedPath", "github.com/rotor-auth/rotor/cmd/rotor/local.Run.logRequests.func6", server),
			stack(1024, handler, "github.com/rotor-auth/rotor/cmd/rotor/local.Run.logRequests.func6", server),
		},
	}
	shares, err := sharesOf(p)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]Share{}
	for _, s := range shares {
		got[s.What] = s
	}
	const all = 2047.0
	for what, want := range map[string]Share{
		"the signature of the access token":    {Share: 1},
		"the JWT around it":                    {Share: 2, Allocation: 2},
		"to the store: HTTP":                   {Share: 12, Kernel: 4},
		"to the store: the SDK's other layers": {Share: 16},
		"the record":                           {Share: 32},
		"garbage collection":                   {Share: 64, Allocation: 64},
		"from the client: HTTP":                {Share: 128, Kernel: 128},
		scheduling:                             {Share: 256, Kernel: 256},
		"the local program's own handlers":     {Share: 512},
		"the handlers, MACs among them":        {Share: 1024},
	} {
		g := got[what]
		if g.Share*all != want.Share || g.Kernel*all != want.Kernel || g.Allocation*all != want.Allocation {
			t.Errorf("%s: %+v of %v, not %+v", what, g, all, want)
		}
	}

	p.Sample = nil
	if _, err := sharesOf(p); err == nil || !strings.Contains(err.Error(), "no samples") {
		t.Errorf("without samples: %v", err)
	}
	p.SampleType[1].Type = "delay"
	if _, err := sharesOf(p); err == nil || !strings.Contains(err.Error(), "no CPU profile") {
		t.Errorf("of another profile: %v", err)
	}
}

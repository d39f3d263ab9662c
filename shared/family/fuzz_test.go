package family_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rotor-auth/rotor/shared/family"
)

// FuzzParseID checks that an id has one spelling, that a flipped bit makes it another id or
// none, and that the time at which its family began can be shown.
func FuzzParseID(f *testing.F) {
	id, err := family.NewID([16]byte{9, 8, 7}, now)
	if err != nil {
		f.Fatal(err)
	}
	s := id.String()
	f.Add(s, uint16(0))
	f.Add(s[:42]+"\n", uint16(1))
	f.Add(s[:42]+"=", uint16(300))
	f.Add(s[:20]+"\r\n"+s[22:], uint16(8))
	f.Add("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", uint16(8*42))
	f.Add("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAB", uint16(8*42+1))
	f.Add("", uint16(0))
	f.Fuzz(func(t *testing.T, s string, bit uint16) {
		id, err := family.ParseID(s)
		if err != nil {
			if !errors.Is(err, family.ErrInvalidID) || id != (family.ID{}) {
				t.Errorf("ParseID(%q) = %v, %v", s, id, err)
			}
			return
		}
		if id.String() != s || family.JoinID(id.UserKey(), id.ULID()) != id {
			t.Errorf("%q parses as %v", s, id)
		}
		if _, err := json.Marshal(id.IssuedAt()); err != nil {
			t.Errorf("%q began at %v", s, err)
		}
		flipped := []byte(s)
		flipped[int(bit/8)%len(s)] ^= 1 << (bit % 8)
		if other, err := family.ParseID(string(flipped)); err == nil && other == id {
			t.Errorf("%q and %q are the same id", s, flipped)
		}
	})
}

// FuzzPolicyCheck checks that a policy which Check accepts is inside the ranges and survives
// JSON, and that its lifetimes are durations. The errors of a refused one name every wrong
// value with its range, and nothing else.
func FuzzPolicyCheck(f *testing.F) {
	f.Add(true, int64(60), "revoke", int64(2592000), int64(1296000), int64(3600), 200, "enforce", int64(0), 400, "least_recently_used")
	f.Add(false, int64(2592000), "until_used", int64(315360000), int64(315360000), int64(86400), 1000, "observe", int64(2592000), 403, "oldest")
	f.Add(false, int64(2592001), "", int64(315360001), int64(-1), int64(0), 0, "", int64(2592001), 401, "")
	f.Add(true, int64(-1), "Revoke", int64(1)<<62, int64(-1)<<63, int64(86401), 1001, "observe", int64(-1), 0, "least_recently_used")
	f.Add(true, int64(1), "revoke", int64(1), int64(1), int64(2), 2, "observe", int64(2592001), 400, "newest")
	f.Add(true, int64(0), "revoke", int64(0), int64(0), int64(1), 1, "enforce", int64(1), 400, "oldest")
	f.Fuzz(func(t *testing.T, rotation bool, reuse int64, lost string, absolute, idle, access int64, maxActive int, detection string, observe int64, status int, evict string) {
		p := family.Policy{
			Rotation: rotation, ReuseInterval: family.Seconds(reuse), LostResponse: family.LostResponse(lost),
			AbsoluteLifetime: family.Seconds(absolute), IdleLifetime: family.Seconds(idle), AccessTokenLifetime: family.Seconds(access),
			MaxActive: maxActive, Evict: family.Evict(evict), ReuseDetection: family.ReuseDetection(detection), InvalidGrantStatus: status,
		}
		dpop := []string{"off", "allowed", "required", evict}[uint(status)%4]
		p.DPoP = family.DPoP(dpop)
		observe = max(-1<<32, min(observe, 1<<32)) // fits into a duration of seconds
		if observe != 0 {
			p.ObserveUntil = now.Add(time.Duration(observe) * time.Second)
		}
		var want []string
		for _, n := range []struct {
			field       string
			v, from, to int64
		}{
			{"reuse_interval", reuse, 0, 2592000},
			{"absolute_lifetime", absolute, 0, 315360000},
			{"idle_lifetime", idle, 0, 315360000},
			{"access_token_lifetime", access, 1, 86400},
			{"max_active", int64(maxActive), 1, 1000},
		} {
			if n.v < n.from || n.v > n.to {
				want = append(want, fmt.Sprintf("policy.%s is %d, but must be from %d to %d", n.field, n.v, n.from, n.to))
			}
		}
		if lost != "revoke" && lost != "until_used" {
			want = append(want, "policy.lost_response is "+strconv.Quote(lost)+`, but must be "revoke" or "until_used"`)
		}
		if evict != "least_recently_used" && evict != "oldest" {
			want = append(want, "policy.evict is "+strconv.Quote(evict)+`, but must be "least_recently_used" or "oldest"`)
		}
		if uint(status)%4 == 3 && evict != "off" && evict != "allowed" && evict != "required" {
			want = append(want, "policy.dpop is "+strconv.Quote(dpop)+`, but must be "off", "allowed" or "required"`)
		}
		if status != 400 && status != 403 {
			want = append(want, fmt.Sprintf("policy.invalid_grant_status is %d, but must be 400 or 403", status))
		}
		latest := now.AddDate(0, 0, 30)
		switch until := p.ObserveUntil.Format(time.RFC3339); {
		case detection != "enforce" && detection != "observe":
			want = append(want, "policy.reuse_detection is "+strconv.Quote(detection)+`, but must be "enforce" or "observe"`)
		case detection == "enforce" && observe != 0:
			want = append(want, "policy.observe_until is "+until+`, but must be left out unless reuse_detection is "observe"`)
		case detection == "observe" && observe == 0:
			want = append(want, "policy.observe_until must be after "+now.Format(time.RFC3339)+" and no later than "+latest.Format(time.RFC3339))
		case detection == "observe" && (observe < 0 || observe > 30*24*60*60):
			want = append(want, "policy.observe_until is "+until+", but must be after "+now.Format(time.RFC3339)+" and no later than "+latest.Format(time.RFC3339))
		}
		var got []string
		for _, err := range p.Check(now) {
			got = append(got, err.Error())
		}
		slices.Sort(want)
		slices.Sort(got)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("Check (-want +got):\n%s", diff)
		}
		if len(got) > 0 {
			return
		}
		encoded, err := json.Marshal(p)
		if err != nil {
			t.Fatal(err)
		}
		var read family.Policy
		if err := json.Unmarshal(encoded, &read); err != nil || !cmp.Equal(read, p) {
			t.Errorf("%+v reads back as %+v, %v", p, read, err)
		}
		for _, s := range []family.Seconds{p.ReuseInterval, p.AbsoluteLifetime, p.IdleLifetime, p.AccessTokenLifetime} {
			if s.Duration()/time.Second != time.Duration(s) {
				t.Errorf("%d s are %v", s, s.Duration())
			}
		}
	})
}

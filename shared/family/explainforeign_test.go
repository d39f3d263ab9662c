package family_test

import (
	"strings"
	"testing"
	"time"

	"github.com/rotor-auth/rotor/shared/family"
)

// TestExplainForeign checks what support reads about another provider's token, from its import to
// each end of its family.
func TestExplainForeign(t *testing.T) {
	const s, h, day = time.Second, time.Hour, 24 * time.Hour
	ended := func(f *family.Family, cause family.Cause) *family.Family {
		f.Revoked = family.Revocation{At: now, Cause: cause, ReuseAge: h}
		return f
	}
	endless := func(f *family.Family, p *family.Policy, _ *family.Attempt) {
		f.ExpiresAt, p.IdleLifetime = time.Time{}, 0
	}
	adopted := func(f *family.Family, _ *family.Policy, _ *family.Attempt) { f.Origin.Kind = family.Adopted }
	evicted := func(rule family.Evict) change {
		return func(f *family.Family, _ *family.Policy, _ *family.Attempt) {
			f.Revoked = family.Revocation{At: now, Cause: family.LimitExceeded, Evict: rule, Active: 4}
		}
	}
	for _, tt := range []struct {
		name    string
		family  *family.Family
		n       uint32
		changes []change
		verdict family.State
		cause   family.Cause
		parts   []string
	}{
		{"pending", waiting(t, 20*s), 0, nil, family.Valid, "", []string{
			"another provider's refresh token, imported on 2030-05-01 11:59:40 UTC", "has not presented it here yet",
			"It works until 2030-05-16 11:59:40 UTC, when the idle lifetime ends", "gets one of ours",
		}},
		{"pending, with an absolute end", waiting(t, 20*s), 0, []change{absoluteSoon}, family.Valid, "", []string{"It works until 2030-05-01 12:00:01 UTC, when the absolute lifetime ends"}},
		{"pending, without an end", waiting(t, 20*s), 0, []change{endless}, family.Valid, "", []string{"no end"}},
		{"adopted, pending", waiting(t, 20*s), 0, []change{adopted}, family.Valid, "", []string{"which Rotor exchanged there on 2030-05-01 11:59:40 UTC"}},
		{"exchanged, inside the interval", movedIn(t, 4*s), 0, nil, family.ValidInReuseInterval, "", []string{
			"exchanged 4 s ago, for token 1", "reuse interval of 1 min", "the newest, 1", "harmless", "send that one from then on",
		}},
		{"exchanged, later", movedIn(t, h), 0, nil, family.DeadToken, family.Superseded, []string{
			"exchanged 1 h ago, for token 1", "newest is 1", "would be reuse, and revoke it", "The other provider's token came back",
		}},
		{"exchanged, and rotated since", movedIn(t, h), 0, []change{rotated}, family.DeadToken, family.Superseded, []string{
			"before the last rotation, which was 0 ms ago", "newest is 4", "where the old SDK kept it", "or it was stolen",
		}},
		{"observed", movedIn(t, h), 0, []change{observing}, family.ValidInReuseInterval, "", []string{"only observed until 2030-05-01 13:00:00 UTC", "outside the reuse interval"}},
		{"a lost response", movedIn(t, h), 0, []change{untilUsed}, family.Valid, "", []string{"never used", "lost response"}},
		{"reuse ended it", ended(movedIn(t, h), family.ReuseDetected), 0, nil, family.DeadToken, family.ReuseDetected, []string{
			"revoked on 2030-05-01 12:00:00 UTC", "with which it began was presented again 1 h after it had been exchanged, outside the reuse interval", "newest was 1",
		}},
		{"reuse ended it, seen by a token of ours", ended(movedIn(t, h), family.ReuseDetected), 1, nil, family.DeadToken, family.ReuseDetected, []string{"the other provider's refresh token"}},
		{"reuse ended it after rotations", ended(movedIn(t, h), family.ReuseDetected), 0, []change{rotated}, family.DeadToken, family.ReuseDetected, []string{
			"superseded before the last rotation, which was 1 h earlier", "newest was 4",
		}},
		{"revoked while it waited", ended(waiting(t, s), family.RevokedByClient), 0, nil, family.DeadToken, family.RevokedByClient, []string{"The application revoked it"}},
		{"the idle end of what nobody presented", waiting(t, 16*day), 0, nil, family.DeadToken, family.ExpiredIdle, []string{
			"It was imported on 2030-04-15 12:00:00 UTC, and the application has never presented it", "The idle lifetime of 15 d", "2030-04-30 12:00:00 UTC", "did not send its old token here", "Raise idle_lifetime",
		}},
		{"the idle end, once it was in use", movedIn(t, 16*day), 1, nil, family.DeadToken, family.ExpiredIdle, []string{"It was last used on 2030-04-15 12:00:00 UTC"}},
		{"the absolute end of what nobody presented", waiting(t, h), 0, []change{absoluteEnd}, family.DeadToken, family.ExpiredAbsolute, []string{
			"The family was imported on 2030-05-01 11:00:00 UTC", "ended on 2030-05-01 12:00:00 UTC, and the application has never presented", "set at the import",
		}},
		{"the absolute end", movedIn(t, h), 1, []change{absoluteEnd, adopted}, family.DeadToken, family.ExpiredAbsolute, []string{
			"The family was adopted on 2030-05-01 10:00:00 UTC", "last on 2030-05-01 11:00:00 UTC", "set when it was adopted",
		}},
		{"another client's", waiting(t, s), 0, []change{otherClient}, family.DeadToken, family.WrongClient, []string{"imported for client app, but other presented it", "untouched"}},
		{"another client's, a token of ours", movedIn(t, s), 1, []change{otherClient}, family.DeadToken, family.WrongClient, []string{"issued to client app, but other presented it"}},
		{"another client's code", pending(t, s), 0, []change{otherClient}, family.DeadToken, family.WrongClient, []string{"issued to client app, but other presented it"}},
		{"over the limit while it waited", waiting(t, h), 0, []change{evicted(family.LeastRecentlyUsed)}, family.DeadToken, family.LimitExceeded, []string{
			"one of the least recently used: it was imported on 2030-05-01 11:00:00 UTC, and not used since", "had 4 active families",
		}},
		{"over the limit, once in use", movedIn(t, h), 0, []change{evicted(family.LeastRecentlyUsed)}, family.DeadToken, family.LimitExceeded, []string{"that was last on 2030-05-01 11:00:00 UTC"}},
		{"over the limit, the oldest", waiting(t, h), 0, []change{evicted(family.Oldest)}, family.DeadToken, family.LimitExceeded, []string{"one of the oldest"}},
	} {
		f, p := *tt.family, family.DefaultPolicy()
		a := family.Attempt{Counter: tt.n, Origin: family.Imported, ClientID: "app", Now: now}
		for _, c := range tt.changes {
			c(&f, &p, &a)
		}
		e := family.Explain(&f, &p, f.IssuedAt(), a)
		if e.Verdict != tt.verdict || e.Cause != tt.cause {
			t.Errorf("%s: %s, %q", tt.name, e.Verdict, e.Cause)
		}
		for _, part := range tt.parts {
			if !strings.Contains(e.Summary+" "+e.Advice, part) {
				t.Errorf("%s: nothing of %q in: %s %s", tt.name, part, e.Summary, e.Advice)
			}
		}
		if strings.Contains(e.Summary+e.Advice, "authorization code") {
			t.Errorf("%s: it speaks of a code: %s %s", tt.name, e.Summary, e.Advice)
		}
	}
}

// absoluteSoon sets an absolute end a second from now.
func absoluteSoon(f *family.Family, _ *family.Policy, _ *family.Attempt) {
	f.ExpiresAt = now.Add(time.Second)
}

// TestExplainForeignGone checks that a foreign token whose family is gone is told from a refresh
// token of ours and from a code.
func TestExplainForeignGone(t *testing.T) {
	for _, tt := range []struct {
		a    family.Attempt
		part string
	}{
		{family.Attempt{Origin: family.Imported}, "Its family began here on 2030-05-01 12:00:00 UTC"},
		{family.Attempt{Origin: family.Adopted}, "Importing the token once more does not bring its family back"},
		{family.Attempt{Origin: family.Code}, "We issued this on 2030-05-01 12:00:00 UTC"},
		{family.Attempt{Counter: 1}, "We issued this on 2030-05-01 12:00:00 UTC"},
	} {
		e := family.Explain(nil, nil, now, tt.a)
		if e.Verdict != family.DeadToken || e.Cause != family.Purged || !strings.Contains(e.Summary+" "+e.Advice, tt.part) {
			t.Errorf("%+v: %+v", tt.a, e)
		}
	}
}

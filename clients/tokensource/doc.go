// Package tokensource provides an [oauth2.TokenSource] for programs that hold
// rotating refresh tokens of Rotor or of any other provider. A session survives
// several processes that share its token, and processes that die:
//
//   - There is one refresh at a time, in a process and among all processes that
//     share a [Store]. The first to refresh claims the record in the store; the
//     others wait for its token. A claim lapses when its holder dies.
//   - A new token is saved, and read back, before it is used.
//   - A refresh whose response was lost, or that failed at the server, is retried
//     with the same token within the provider's reuse interval.
//   - A token is given up only if the provider has refused it and the store has
//     no newer one. The store remembers that, so that the token is refused only
//     once.
//   - A login by another process is noticed within ten seconds, even while the
//     current token is fresh. So is a refusal that another process got.
//   - A wrong wall clock costs at most one additional refresh for each token.
//
// Log in once, in the way that the provider offers, and pass the result to
// [Source.Login]. From then on only the source has the refresh token: [Source.Token]
// returns tokens without it.
//
// # Providers
//
// Set the provider's reuse interval with [WithReuseInterval]. It is how long the
// provider accepts a token that it has replaced, and is also called leeway, grace or
// overlap period. The pace is a quarter of it, at least 1 s and at most 10 s. It
// limits a request and the pause between two requests, and the last try within an
// interval is made at least that long before its end. A claim lapses after one and a
// half times the pace. With a strict provider, whose interval is 0, the pace is 20 s.
// A Retry-After is obeyed up to the pace. With the default interval, all processes
// together make at most 17 requests a minute while the provider does not respond.
//
// A refresh token is in doubt if it was used and no response says what became of it:
// the response was lost or cut off, was a 5xx, or the process died. The provider may
// have replaced the token. After the interval, or at once with a strict provider, a
// token in doubt is used again only if no usable access token is left. The provider
// then either accepts it, or takes it for reuse and ends the session. Without that
// use the user would certainly have to log in again, so nothing is lost by it. A
// request that was never sent (the connection failed) and a 429 leave no doubt.
//
// A response may have no refresh token, or the one that was presented, because a
// provider need not rotate it each time. Rotor rotates it at most once per reuse
// interval. The source then keeps the token.
//
// # Bound sessions
//
// With [WithDPoP] or [WithDPoPKey] a session is bound to a key (RFC 9449), if the provider binds
// it when it begins. Each request then has a proof of the key, and a stolen token is of no use
// without it. With Rotor such a session outlives any number of lost responses, and a record that
// was restored from an old copy. The key of WithDPoP is in the record, and is saved before
// anything is signed with it. So it is lost with the record alone. If the provider asks for a
// nonce, the request is sent again at once; that counts as no attempt, and leaves no doubt.
// A session whose key is another one is refused as a dead token is.
//
// # Reads of the store
//
// A source reads the record before and after each refresh. While the current access
// token is fresh, it reads the record at most once in ten seconds, when it is asked
// for a token. Callers wait for that read for at most a second, and if it fails, the
// current token stays in use. If a resource server rejects a token, or the provider
// refuses a refresh, the source reads the record at once.
//
// # Limits
//
// An access token without expires_in is used until a resource server rejects it,
// which only a [Transport] notices. So is one that was saved by a process whose
// clock was ahead of the reader's, for at most its lifetime again.
//
// Proofs have the time of the wall clock. If that is wrong by more than the provider tolerates, which
// is a day at Rotor, bound sessions cannot be refreshed until the clock is set.
//
// The session is lost if the store loses what was saved. It is also lost if all
// processes die between the provider's response and saving it, and none starts again
// within the interval. A process that is stopped exactly between its claim and its
// request, and continues after the interval, presents an old token. It checks both
// of its clocks before it sends, but nothing can close that gap.
package tokensource

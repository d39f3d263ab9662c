// What the apps in Node share: where they are told things, and what a browser does for them.
const { ISSUER, CLIENT_ID, CLIENT_SECRET, CLIENT_KEY, REDIRECT_URI, AFTER_LOGOUT, LATER, CASE } = process.env;
export { ISSUER, CLIENT_ID, CLIENT_SECRET, REDIRECT_URI, AFTER_LOGOUT };
export const scope = 'openid profile';

/** Goes where a browser is led from an address, and returns the address in the app where it arrives. */
export async function browse(address, home) {
  let at = new URL(address);
  for (let hops = 0; hops < 5; hops++) {
    if (at.href.startsWith(home)) return at;
    const answer = await fetch(at, { redirect: 'manual' });
    if (!answer.headers.has('location')) throw new Error(`${at.pathname} answers ${answer.status}: ${await answer.text()}`);
    at = new URL(answer.headers.get('location'), at);
  }
  throw new Error('too many redirects');
}

/** Returns the private key by which the client authenticates, undefined for a client without. */
export async function clientKey() {
  if (!CLIENT_KEY) return undefined;
  const { alg, use, ...jwk } = JSON.parse(CLIENT_KEY);
  const algorithm = jwk.kty === 'EC' ? { name: 'ECDSA', namedCurve: jwk.crv } : { name: jwk.crv };
  return { key: await crypto.subtle.importKey('jwk', jwk, algorithm, false, ['sign']), kid: jwk.kid };
}

/** Lets the reuse interval pass, here as in the service. */
export async function later() {
  const { now } = Date;
  Date.now = () => now() + 61_000;
  const answer = await fetch(LATER, { method: 'POST' });
  if (!answer.ok) throw new Error(`the clock answers ${answer.status}`);
}

/** Makes the store fail for the next two token requests. */
export async function outage() {
  const answer = await fetch(LATER.replace(/later$/, 'outage'), { method: 'POST' });
  if (!answer.ok) throw new Error(`the outage answers ${answer.status}`);
}

/** Runs the case that is asked for, and prints what it returns. An error that it throws is its result. */
export async function run(cases) {
  console.log(JSON.stringify(await cases[CASE]()));
}

/** Returns the error that a promise is rejected with. */
export async function refusal(promise) {
  const [result] = await Promise.allSettled([promise]);
  if (result.status === 'fulfilled') throw new Error('it was not refused');
  return result.reason;
}

/** Returns the only value among results of which the others are refusals, and the first of these. */
export function winner(results) {
  const [won, ...more] = results.filter((r) => r.status === 'fulfilled');
  const lost = results.find((r) => r.status === 'rejected');
  if (!won || more.length) throw new Error(`${more.length + (won ? 1 : 0)} of ${results.length} won: ${lost?.reason}`);
  return { won: won.value, lost: lost.reason };
}

/**
 * Refreshes a session that is bound to a key 50 times. Every tenth answer is lost, and before every tenth refresh the nonce runs out. Then a thief has its newest
 * token: he tries without a key, and with one of his own. The owner goes on.
 */
export async function boundSession(first, jkt, refresh, withoutKey, withOtherKey) {
  const bound = ({ token_type, access_token }) =>
    token_type.toLowerCase() === 'dpop' && JSON.parse(Buffer.from(access_token.split('.')[1], 'base64url')).cnf.jkt === jkt;
  let tokens = first;
  let all = bound(first);
  const seen = [first.refresh_token];
  for (let i = 0; i < 50; i++) {
    for (let minutes = i % 10 === 5 ? 11 : 1; minutes > 0; minutes--) await later();
    const next = await refresh(tokens.refresh_token);
    all &&= bound(next);
    if (i % 10 === 9) continue; // it is lost: the app has its old token still
    tokens = next;
    seen.push(tokens.refresh_token);
  }
  const thefts = [];
  for (const steal of [withoutKey, withOtherKey]) {
    await later();
    thefts.push((await refusal(steal(tokens.refresh_token))).error);
  }
  tokens = await refresh(tokens.refresh_token);
  return { seen: [...seen, tokens.refresh_token], bound: all, thefts };
}

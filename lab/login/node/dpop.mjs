// The package dpop by itself, with requests of fetch.
import { calculateThumbprint, generateKeyPair, generateProof } from 'dpop';
import { CLIENT_ID, ISSUER, REDIRECT_URI, boundSession, browse, run, scope } from './app.mjs';

const server = await (await fetch(`${ISSUER}/.well-known/oauth-authorization-server`)).json();

/** Returns a function that sends a form to the token endpoint with proofs of a key, if there is one. It remembers the nonce, and tries once more with that of the answer. */
function sender(keys) {
  let nonce;
  return async function send(form, again = true) {
    const headers = keys && { DPoP: await generateProof(keys, server.token_endpoint, 'POST', nonce) };
    const answer = await fetch(server.token_endpoint, { method: 'POST', headers, body: new URLSearchParams({ client_id: CLIENT_ID, ...form }) });
    nonce = answer.headers.get('DPoP-Nonce') ?? nonce;
    const members = await answer.json();
    if (answer.ok) return members;
    if (again && members.error === 'use_dpop_nonce') return send(form, false);
    throw Object.assign(new Error(members.error_description), members);
  };
}

const refreshBy = (send) => (token) => send({ grant_type: 'refresh_token', refresh_token: token });

await run({
  async bound() {
    const keys = await generateKeyPair('Ed25519');
    const jkt = await calculateThumbprint(keys.publicKey);
    const verifier = Buffer.from(crypto.getRandomValues(new Uint8Array(32))).toString('base64url');
    const challenge = Buffer.from(await crypto.subtle.digest('SHA-256', new TextEncoder().encode(verifier))).toString('base64url');
    const address = new URL(server.authorization_endpoint);
    address.search = new URLSearchParams({
      client_id: CLIENT_ID, redirect_uri: REDIRECT_URI, response_type: 'code', scope, login_hint: 'alice', dpop_jkt: jkt,
      code_challenge: challenge, code_challenge_method: 'S256',
    });
    const code = (await browse(address, REDIRECT_URI)).searchParams.get('code');
    const send = sender(keys);
    const first = await send({ grant_type: 'authorization_code', code, redirect_uri: REDIRECT_URI, code_verifier: verifier });
    return boundSession(first, jkt, refreshBy(send), refreshBy(sender()), refreshBy(sender(await generateKeyPair('RS256'))));
  },
});

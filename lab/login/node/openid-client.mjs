// A confidential client with openid-client, which authenticates by its secret or its key.
import * as client from 'openid-client';
import { AFTER_LOGOUT, CLIENT_ID, CLIENT_SECRET, ISSUER, REDIRECT_URI, boundSession, browse, clientKey, later, refusal, run, scope, winner } from './app.mjs';

const key = await clientKey();
const config = await client.discovery(new URL(ISSUER), CLIENT_ID, CLIENT_SECRET, key && client.PrivateKeyJwt(key));
client.enableNonRepudiationChecks(config); // it checks the signatures of id tokens, too

// begin sends the user to the login, and returns what the app keeps until they come back.
async function begin(hint = 'alice', more = {}, its = config) {
  const checks = {
    pkceCodeVerifier: client.randomPKCECodeVerifier(), expectedState: client.randomState(), expectedNonce: client.randomNonce(), idTokenExpected: true,
  };
  const address = client.buildAuthorizationUrl(its, {
    ...more, redirect_uri: REDIRECT_URI, scope, state: checks.expectedState, nonce: checks.expectedNonce, login_hint: hint,
    code_challenge: await client.calculatePKCECodeChallenge(checks.pkceCodeVerifier), code_challenge_method: 'S256',
  });
  return { checks, callback: await browse(address, REDIRECT_URI) };
}

const exchange = ({ callback, checks }) => client.authorizationCodeGrant(config, callback, checks);
const refresh = (token) => client.refreshTokenGrant(config, token);

await run({
  async circle() {
    let tokens = await exchange(await begin());
    const user = tokens.claims().sub;
    const seen = [tokens.refresh_token];
    for (let i = 0; i < 50; i++) {
      await later();
      tokens = await refresh(tokens.refresh_token);
      seen.push(tokens.refresh_token);
    }
    tokens = await refresh(tokens.refresh_token);
    const held = tokens.refresh_token;
    const address = client.buildEndSessionUrl(config, { id_token_hint: tokens.id_token, post_logout_redirect_uri: AFTER_LOGOUT, state: 'bye' });
    const end = await browse(address, AFTER_LOGOUT);
    return { user, seen, held, back: end.searchParams.get('state') === 'bye', error: (await refusal(refresh(tokens.refresh_token))).error };
  },
  async ends() {
    const { refresh_token: token } = await exchange(await begin());
    const before = await client.tokenIntrospection(config, token);
    await client.tokenRevocation(config, token);
    return { active: [before.active, (await client.tokenIntrospection(config, token)).active], error: (await refusal(refresh(token))).error };
  },
  async state() {
    const login = await begin();
    login.callback.searchParams.set('state', 'another');
    return { error: (await refusal(exchange(login))).cause.message };
  },
  async issuer() {
    const login = await begin();
    login.callback.searchParams.set('iss', 'https://another.example');
    return { error: (await refusal(exchange(login))).cause.message };
  },
  async denied() {
    return { error: (await refusal(exchange(await begin('nobody')))).error };
  },
  async bound() {
    const its = await client.discovery(new URL(ISSUER), CLIENT_ID, undefined, client.None());
    const handle = async () => client.getDPoPHandle(its, await client.randomDPoPKeyPair('ES256'));
    const DPoP = await handle();
    const jkt = await DPoP.calculateThumbprint();
    const { callback, checks } = await begin('alice', { dpop_jkt: jkt }, its);
    const first = await client.authorizationCodeGrant(its, callback, checks, undefined, { DPoP });
    const refreshBy = (options) => (token) => client.refreshTokenGrant(its, token, undefined, options);
    return boundSession(first, jkt, refreshBy({ DPoP }), refreshBy(), refreshBy({ DPoP: await handle() }));
  },
  async twice() {
    const login = await begin();
    const { won, lost } = winner(await Promise.allSettled([exchange(login), exchange(login)]));
    await later();
    return { seen: [won.refresh_token, (await refresh(won.refresh_token)).refresh_token], error: lost.error };
  },
});

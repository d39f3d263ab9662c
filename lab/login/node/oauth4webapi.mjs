// A public client with oauth4webapi, or a confidential one that authenticates by its key.
import * as oauth from 'oauth4webapi';
import { AFTER_LOGOUT, CLIENT_ID, ISSUER, REDIRECT_URI, boundSession, browse, clientKey, later, refusal, run, scope, winner } from './app.mjs';

const issuer = new URL(ISSUER);
const client = { client_id: CLIENT_ID };
const key = await clientKey();
const authentication = key ? oauth.PrivateKeyJwt(key) : oauth.None();
const server = await oauth.processDiscoveryResponse(issuer, await oauth.discoveryRequest(issuer));

// begin sends the user to the login, and returns what the app keeps until they come back.
async function begin(hint = 'alice', more = {}) {
  const verifier = oauth.generateRandomCodeVerifier();
  const state = oauth.generateRandomState();
  const nonce = oauth.generateRandomNonce();
  const address = new URL(server.authorization_endpoint);
  address.search = new URLSearchParams({
    client_id: CLIENT_ID, redirect_uri: REDIRECT_URI, response_type: 'code', scope, state, nonce, login_hint: hint,
    code_challenge: await oauth.calculatePKCECodeChallenge(verifier), code_challenge_method: 'S256', ...more,
  });
  return { verifier, state, nonce, callback: await browse(address, REDIRECT_URI) };
}

async function exchange({ verifier, state, nonce, callback }) {
  const parameters = oauth.validateAuthResponse(server, client, callback, state);
  const answer = await oauth.authorizationCodeGrantRequest(server, client, authentication, parameters, REDIRECT_URI, verifier);
  const tokens = await oauth.processAuthorizationCodeResponse(server, client, answer, { expectedNonce: nonce, requireIdToken: true });
  await oauth.validateApplicationLevelSignature(server, answer);
  return tokens;
}

async function refresh(token) {
  const answer = await oauth.refreshTokenGrantRequest(server, client, authentication, token);
  const tokens = await oauth.processRefreshTokenResponse(server, client, answer);
  await oauth.validateApplicationLevelSignature(server, answer);
  return tokens;
}

await run({
  async circle() {
    let tokens = await exchange(await begin());
    const user = oauth.getValidatedIdTokenClaims(tokens).sub;
    const seen = [tokens.refresh_token];
    for (let i = 0; i < 50; i++) {
      await later();
      tokens = await refresh(tokens.refresh_token);
      seen.push(tokens.refresh_token);
    }
    tokens = await refresh(tokens.refresh_token);
    const held = tokens.refresh_token;
    const address = new URL(server.end_session_endpoint);
    address.search = new URLSearchParams({ id_token_hint: tokens.id_token, post_logout_redirect_uri: AFTER_LOGOUT, state: 'bye' });
    const end = await browse(address, AFTER_LOGOUT);
    return { user, seen, held, back: end.searchParams.get('state') === 'bye', error: (await refusal(refresh(tokens.refresh_token))).error };
  },
  async ends() {
    const { refresh_token: token } = await exchange(await begin());
    const active = async () => (await oauth.processIntrospectionResponse(server, client, await oauth.introspectionRequest(server, client, authentication, token))).active;
    const before = await active();
    await oauth.processRevocationResponse(await oauth.revocationRequest(server, client, authentication, token));
    return { active: [before, await active()], error: (await refusal(refresh(token))).error };
  },
  async state() {
    const login = await begin();
    login.callback.searchParams.set('state', 'another');
    return { error: (await refusal(exchange(login))).message };
  },
  async issuer() {
    const login = await begin();
    login.callback.searchParams.set('iss', 'https://another.example');
    return { error: (await refusal(exchange(login))).message };
  },
  async denied() {
    return { error: (await refusal(exchange(await begin('nobody')))).error };
  },
  async bound() {
    // As the README says: an error for the nonce is tried again with the same handle.
    const prove = (DPoP) => async (request, process) => {
      for (let again = true; ; again = false) {
        try {
          return await process(server, client, await request({ DPoP }));
        } catch (error) {
          if (!again || !oauth.isDPoPNonceError(error)) throw error;
        }
      }
    };
    const DPoP = oauth.DPoP(client, await oauth.generateKeyPair('ES256'));
    const jkt = await DPoP.calculateThumbprint();
    const refreshBy = (handle) => (token) =>
      prove(handle)((options) => oauth.refreshTokenGrantRequest(server, client, authentication, token, options), oauth.processRefreshTokenResponse);
    const { verifier, state, nonce, callback } = await begin('alice', { dpop_jkt: jkt });
    const parameters = oauth.validateAuthResponse(server, client, callback, state);
    const first = await prove(DPoP)(
      (options) => oauth.authorizationCodeGrantRequest(server, client, authentication, parameters, REDIRECT_URI, verifier, options),
      (...all) => oauth.processAuthorizationCodeResponse(...all, { expectedNonce: nonce, requireIdToken: true }),
    );
    return boundSession(first, jkt, refreshBy(DPoP), refresh, refreshBy(oauth.DPoP(client, await oauth.generateKeyPair('ES256'))));
  },
  async twice() {
    const login = await begin();
    const { won, lost } = winner(await Promise.allSettled([exchange(login), exchange(login)]));
    await later();
    return { seen: [won.refresh_token, (await refresh(won.refresh_token)).refresh_token], error: lost.error };
  },
});

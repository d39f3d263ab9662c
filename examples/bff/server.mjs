// A backend for a frontend: the browser has a session cookie, and this server the tokens.
import express from 'express';
import * as oauth from 'oauth4webapi';
import { LoginRequiredError } from '@rotor-auth/rotor/node';
import { forwardedFor } from '@rotor-auth/rotor/server';
import { startAPI } from './api.mjs';
import { Sessions } from './sessions.mjs';

const { ISSUER = 'http://127.0.0.1:3000', CLIENT_ID = 'example-bff', CLIENT_SECRET, PORT = '4002', SESSIONS = 'sessions' } = process.env;
const ORIGIN = process.env.ORIGIN ?? `http://127.0.0.1:${PORT}`; // as browsers see this server
if (!CLIENT_SECRET) throw new Error('CLIENT_SECRET is not set');

const api = await startAPI(ISSUER);
const sessions = new Sessions({ issuer: ISSUER, clientId: CLIENT_ID, clientSecret: CLIENT_SECRET, origins: [api] }, SESSIONS);

const app = express().disable('x-powered-by');
// Says whom request.ip believes: here the proxies of this machine. Anybody else's X-Forwarded-For is ignored.
app.set('trust proxy', 'loopback');
app.use((request, response, next) => {
  response.set({ 'Content-Security-Policy': "default-src 'self'; img-src data:; frame-ancestors 'none'", 'Referrer-Policy': 'no-referrer' });
  next();
});
app.use(express.static('public'));

// A login binds its answer to this browser: by a state and a verifier in a cookie, which is sent along when the login leads the
// browser back. Of two logins at once, the later one counts.
const loginCookie = { httpOnly: true, secure: true, sameSite: 'lax', path: '/' };

app.get('/login', async (request, response) => {
  const state = oauth.generateRandomState();
  const verifier = oauth.generateRandomCodeVerifier();
  const url = new URL(ISSUER + '/authorize');
  url.search = new URLSearchParams({
    response_type: 'code', client_id: CLIENT_ID, redirect_uri: ORIGIN + '/callback', scope: 'openid orders', state,
    code_challenge: await oauth.calculatePKCECodeChallenge(verifier), code_challenge_method: 'S256',
  });
  response.cookie('__Host-login', `${state}.${verifier}`, { ...loginCookie, maxAge: 600_000 }).redirect(url.href);
});

app.get('/callback', async (request, response) => {
  const [, state, verifier] = /(?:^|; )__Host-login=([\w-]+)\.([\w-]+)/.exec(request.get('Cookie') ?? '') ?? [];
  response.clearCookie('__Host-login', loginCookie);
  if (!verifier) return response.status(400).type('text').send('This browser did not ask for a login.');
  let answer;
  try {
    answer = oauth.validateAuthResponse({ issuer: ISSUER }, { client_id: CLIENT_ID }, new URL(request.originalUrl, ORIGIN), state);
  } catch (error) {
    return response.status(400).type('text').send(`The login failed: ${error.error ?? 'this is no answer to what was asked'}.`);
  }
  const login = { code: answer.get('code') ?? '', codeVerifier: verifier, redirectUri: ORIGIN + '/callback' };
  await sessions.begin(response, login, { headers: forwardedFor(request) });
  response.redirect('/');
});

// Whatever uses the session asks for a header that no form can send, and no page of another origin: the browser would ask for a
// permission first (CORS), which this server does not give. So a page of a sibling host, to which the cookie is sent, cannot act for the user.
app.use(['/api', '/logout'], (request, response, next) => {
  if (request.get('X-App') !== '1') return response.status(403).type('text').send('This is for the pages of this app.');
  response.set('Cache-Control', 'no-store');
  next();
});

app.get('/api/orders', async (request, response) => {
  const session = sessions.find(request);
  if (!session) throw new LoginRequiredError('nobody is logged in');
  // A refresh happens here, if one is due, and tells the service whose it is. Requests that come meanwhile wait for its result, but not
  // longer than a user would. The refresh itself goes on.
  await session.token({ headers: forwardedFor(request), signal: AbortSignal.timeout(5_000) });
  const answer = await session.fetch(api + '/orders');
  response.status(answer.status === 401 ? 502 : answer.status).type('json').send(await answer.text());
});

app.post('/logout', async (request, response) => {
  await sessions.find(request)?.logout({ headers: forwardedFor(request) });
  await sessions.forget(request, response);
  response.sendStatus(204);
});

// Only the refusal of the token ends the session of the browser. Any other failure is a 503, and the session lives.
app.use(async (error, request, response, next) => {
  if (response.headersSent) return next(error);
  if (error instanceof LoginRequiredError) {
    await sessions.forget(request, response);
    return response.status(401).type('text').send('Log in again.');
  }
  console.error(error);
  response.status(503).set('Retry-After', '2').type('text').send('Try again.');
});

const server = app.listen(Number(PORT), '127.0.0.1', () => console.log(`Listening on http://127.0.0.1:${server.address().port}`));

// A single-page app without a server: an OAuth 2.0 public client, in one file and without libraries.
'use strict';

const clientId = 'demo-spa';
const here = location.origin + location.pathname; // the redirect URI
const issuer = here.replace(/\/demo\/spa\/$/, '');
const tab = Math.random().toString(36).slice(2, 6); // what the tabs call each other
const tabs = new BroadcastChannel('rotor-demo-spa');
const byId = (id) => document.getElementById(id);
let access = ''; // the access token of this tab, in memory

// The session is where all tabs find it: {refresh, id, number}. Scripts of this page can read it, and so could a script
// that somebody smuggles in; a strict Content-Security-Policy is there to keep those out.
const session = () => JSON.parse(localStorage.getItem('rotor-demo-spa') ?? 'null');
const save = (value) => (value ? localStorage.setItem('rotor-demo-spa', JSON.stringify(value)) : localStorage.removeItem('rotor-demo-spa'));

const base64url = (bytes) => btoa(String.fromCharCode(...bytes)).replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '');
const random = () => base64url(crypto.getRandomValues(new Uint8Array(32)));
const metadata = async () => (await fetch(issuer + '/.well-known/openid-configuration')).json();

/** Returns the claims of a JWT. It is the app's own, straight from the token endpoint, so no signature is checked. */
function claims(jwt) {
  const text = atob(jwt.split('.')[1].replaceAll('-', '+').replaceAll('_', '/'));
  return JSON.parse(new TextDecoder().decode(Uint8Array.from(text, (c) => c.charCodeAt(0))));
}

/** Sends the browser to the login. What binds the answer to this tab stays in sessionStorage. */
async function logIn() {
  const begun = { state: random(), nonce: random(), verifier: random() };
  sessionStorage.setItem('rotor-demo-login', JSON.stringify(begun));
  const hash = await crypto.subtle.digest('SHA-256', new TextEncoder().encode(begun.verifier));
  const request = new URLSearchParams({
    response_type: 'code', client_id: clientId, redirect_uri: here, scope: 'openid profile', state: begun.state, nonce: begun.nonce,
    code_challenge: base64url(new Uint8Array(hash)), code_challenge_method: 'S256',
  });
  location.assign((await metadata()).authorization_endpoint + '?' + request);
}

/** Takes the answer of the login out of the address. It is used once: the same address again finds no login that waits. */
async function takeAnswer() {
  const answer = new URLSearchParams(location.search);
  history.replaceState(null, '', location.pathname); // the code is in no history and no bookmark
  if (!answer.has('code') && !answer.has('error')) return;
  const begun = JSON.parse(sessionStorage.getItem('rotor-demo-login') ?? 'null');
  if (!begun || begun.state !== answer.get('state')) {
    return say('Nobody asked for this: the address has the answer to a login that this tab has not begun, or whose answer it has had already. The app has sent nothing to the service.', 'bad');
  }
  sessionStorage.removeItem('rotor-demo-login');
  if (answer.get('iss') !== issuer) return say('The answer is not from the service that was asked (RFC 9207).', 'bad');
  if (answer.has('error')) return say(`The login let nobody in: ${answer.get('error')}. ${answer.get('error_description') ?? ''}`, 'bad');
  const got = await ask({ grant_type: 'authorization_code', code: answer.get('code'), redirect_uri: here, code_verifier: begun.verifier });
  if (got.error) return say(`The service refused the code: ${got.error}. Log in again.`, 'bad');
  const id = claims(got.id_token);
  if (id.iss !== issuer || id.aud !== clientId || id.nonce !== begun.nonce) return say('The id token is not the answer to this app’s request.', 'bad');
  access = got.access_token;
  save({ refresh: got.refresh_token, id: got.id_token, number: 1 });
  say('Logged in. The code was exchanged for the first tokens of a family.');
}

/** Asks the token endpoint. Only what it says is an answer: anything else is thrown, and may be tried again. */
async function ask(parameters) {
  const response = await fetch(issuer + '/oauth/token', { method: 'POST', body: new URLSearchParams({ client_id: clientId, ...parameters }) });
  const answer = await response.json();
  if (!response.ok && answer.error !== 'invalid_grant') throw new Error(`${response.status} ${answer.error}`);
  return answer;
}

/** Refreshes, and returns what came of it in words. No lock keeps the tabs apart: the service does without. */
async function refresh() {
  const mine = session();
  if (!mine) return 'nobody is logged in';
  const got = await ask({ grant_type: 'refresh_token', refresh_token: mine.refresh });
  const stored = session();
  if (got.error) {
    if (stored?.refresh === mine.refresh) save(null);
    access = '';
    return 'the service refused the refresh token: the family has ended. Log in again';
  }
  access = got.access_token;
  const isNew = got.refresh_token !== mine.refresh;
  if (stored && stored.refresh !== got.refresh_token) save({ ...stored, refresh: got.refresh_token, number: mine.number + 1 });
  return isNew ? 'a new refresh token, …' + got.refresh_token.slice(-6) : 'the same refresh token, …' + got.refresh_token.slice(-6) + ': nothing rotates inside the reuse interval';
}

/** Ends the family and returns here. It posts a form, since an id token does not belong into an address. */
async function logOut() {
  const form = document.createElement('form');
  form.method = 'post';
  form.action = (await metadata()).end_session_endpoint;
  const state = random();
  for (const [name, value] of Object.entries({ id_token_hint: session().id, post_logout_redirect_uri: here, state })) {
    form.append(Object.assign(document.createElement('input'), { type: 'hidden', name, value }));
  }
  save(null);
  sessionStorage.setItem('rotor-demo-logout', state);
  document.body.append(form);
  form.submit();
}

function say(text, kind = '') {
  byId('said').textContent = text;
  byId('said').className = 'last ' + kind;
  byId('said').hidden = false;
}

function list(place, values) {
  byId(place).replaceChildren(...Object.entries(values).map(([name, value]) => {
    const [row, term, data, text] = ['div', 'dt', 'dd', 'bdi'].map((tag) => document.createElement(tag));
    term.textContent = name;
    text.textContent = typeof value === 'string' ? value : JSON.stringify(value) + when(name, value);
    data.append(text);
    row.append(term, data);
    return row;
  }));
}

/** Returns a claim that is a time as people read it, or ''. */
const when = (name, value) => (['iat', 'exp', 'auth_time'].includes(name) ? ` (${new Date(value * 1000).toISOString().slice(11, 19)} UTC)` : '');

/** Shows what this tab knows. */
function show() {
  const mine = session();
  byId('out').hidden = Boolean(mine);
  byId('in').hidden = !mine;
  if (!mine) return (access = '');
  const id = claims(mine.id);
  if (access && claims(access).sid !== id.sid) access = ''; // another tab has logged in anew
  byId('who').textContent = id.sub;
  byId('number').textContent = mine.number;
  [byId('session').value, byId('user').value] = [id.sid, id.sub];
  byId('access-short').textContent = access && '…' + access.slice(-6);
  byId('id-short').textContent = '…' + mine.id.slice(-6);
  byId('refresh-short').textContent = '…' + mine.refresh.slice(-6);
  byId('no-access').hidden = access !== '';
  list('access', access ? claims(access) : {});
  list('id', id);
}

/** Shows the answer that a tab got. */
function heard(name, text) {
  byId('tabs').hidden = false;
  const line = document.createElement('li');
  line.textContent = `${name === tab ? 'This tab' : 'Tab ' + name}: ${text}.`;
  byId('answers').append(line);
}

/** Refreshes as one of all tabs, and tells the others. */
async function refreshWithAll() {
  byId('answers').replaceChildren();
  say('All open tabs refresh at the same moment, with the same token.');
  const text = await refresh().catch((error) => `no answer (${error.message}); the token is kept`);
  tabs.postMessage({ name: tab, text });
  heard(tab, text);
  show();
}

/** Returns a handler that runs the action, and says what went wrong. */
const acting = (action) => async () => {
  try {
    await action();
  } catch (error) {
    say(`That did not work: ${error.message}. Nothing is lost: try again.`, 'bad');
  }
  show();
};

byId('login').onclick = acting(logIn);
byId('logout').onclick = acting(logOut);
byId('refresh').onclick = acting(async () => say(`This tab got ${await refresh()}.`));
byId('all').onclick = () => {
  tabs.postMessage({ refresh: true });
  refreshWithAll();
};
byId('wait').onclick = acting(async () => {
  const answer = await fetch(issuer + '/local/clock', { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: '{"advance":"2m"}' });
  if (!answer.ok) throw new Error('the clock answers ' + answer.status);
  say('The service’s clock moved on by 2 minutes, past the reuse interval. The next refresh brings a new token.');
});
tabs.onmessage = ({ data }) => (data.refresh ? refreshWithAll() : heard(data.name, data.text));
addEventListener('storage', () => {
  if (Boolean(session()) === byId('in').hidden) say(session() ? 'Another tab has logged in.' : 'This login has ended in another tab.');
  show();
});
acting(async () => {
  const logout = sessionStorage.getItem('rotor-demo-logout');
  sessionStorage.removeItem('rotor-demo-logout');
  if (logout && logout === new URLSearchParams(location.search).get('state')) say('Logged out. The family has ended, in all tabs.');
  await takeAnswer();
})();

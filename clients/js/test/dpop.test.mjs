// Sessions that are bound to a key (RFC 9449), against the real service.
import 'fake-indexeddb/auto';
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { fork } from 'node:child_process';
import { createServer } from 'node:http';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { mock } from 'node:test';
import { inspect } from 'node:util';
import { DynamoDB } from '@aws-sdk/client-dynamodb';
import * as oauth from 'oauth4webapi';
import * as page from '@rotor-auth/rotor/browser';
import { dpop } from '@rotor-auth/rotor/dpop';
import { DynamoStore, FileStore, LoginRequiredError, MemoryStore, Session } from '@rotor-auth/rotor/node';
import { Cookies, Items, Locks, Network, startNeighbours, startRotor, TestClock } from './world.mjs';

const world = await startRotor();
const neighbours = await startNeighbours(world.issuer);
const db = new DynamoDB({ endpoint: neighbours.dynamodb, region: 'us-east-1', credentials: { accessKeyId: 'local', secretAccessKey: 'local' } });
const redirectUri = 'https://app.example.com/';
let users = 0;

/** Keeps a record as MemoryStore does, and remembers each. */
class Witness extends MemoryStore {
  saved = [];

  async save(record) {
    await super.save(record);
    this.saved.push(JSON.parse(record.data));
  }

  get state() {
    return this.saved.at(-1);
  }
}

/** Returns a client whose families are bound as the policy says, a user, and what a session of that user is opened with. */
async function open(policy = 'required', options = {}) {
  const clientId = await world.client(`bound-${policy}`, { policy: { access_token_lifetime: 300, dpop: policy }, redirect_uris: [redirectUri], scope: 'orders' });
  const user = `user-${++users}`;
  const line = { lost: 0 };
  const network = new Network(async (input, init) => {
    const response = await fetch(input, init);
    if (String(input.url ?? input).endsWith('/oauth/token') && response.ok && line.lost-- > 0) throw new TypeError('network connection lost');
    return response;
  });
  const store = new Witness();
  const session = (more = {}) => new Session({ issuer: world.issuer, clientId, store, fetch: network.fetch, clock: world.clock, dpop: true, ...options, ...more });
  return { clientId, user, network, line, store, session };
}

/** Opens a session, and begins it with a family that is bound to its key. */
async function begin(policy, options) {
  const it = await open(policy, options);
  const session = it.session();
  const tokens = await world.login(it.clientId, it.user, undefined, await session.thumbprint());
  await session.login(tokens);
  return { ...it, open: it.session, session, tokens };
}

/** Returns a code and its verifier. */
async function code(clientId, user) {
  const codeVerifier = oauth.generateRandomCodeVerifier();
  const code_challenge = await oauth.calculatePKCECodeChallenge(codeVerifier);
  return { code: (await world.management.startWithCode({ user_id: user, client_id: clientId, code_challenge })).code, codeVerifier };
}

/** Returns the answers to refreshes, by status. */
const answers = (network) => network.requests.filter(({ form }) => form.grant_type === 'refresh_token').map(({ status }) => status);

const claimsOf = (jwt) => JSON.parse(Buffer.from(jwt.split('.')[1], 'base64url'));
const headerOf = (jwt) => JSON.parse(Buffer.from(jwt.split('.')[0], 'base64url'));

test('a session is bound by its thumbprint, and refreshed with proofs; a nonce that is asked for is no failure', async () => {
  const { session, store, network, user, tokens } = await begin();
  assert.equal(tokens.token_type, 'DPoP');
  const jkt = await session.thumbprint();
  assert.equal((await world.family(user)).dpop_jkt, jkt);
  await world.advance(301);
  const token = await session.token();
  assert.equal(token.authorization, `DPoP ${token.accessToken}`);
  assert.equal(claimsOf(token.accessToken).cnf.jkt, jkt);
  assert.deepEqual(answers(network), [400, 200], 'the first proof has no nonce');
  await world.advance(301);
  await world.advance(301); // the nonce is as old as none
  await session.token();
  assert.deepEqual(answers(network), [400, 200, 400, 200]);
  for (const { attempt } of store.saved.filter((state) => state.attempt)) assert.ok(attempt.claim && attempt.count === 1, 'no attempt has failed');
  assert.equal((await world.family(user)).status, 'active');
});

test('a nonce that is still good is used again', async () => {
  const { session, network, clientId } = await begin();
  await world.advance(301);
  await session.token();
  network.requests.length = 0;
  await session.login(await code(clientId, 'somebody'));
  assert.deepEqual(network.requests.map(({ status }) => status), [200]);
});

test('the record has the key before anything is signed with it, and keeps it', async () => {
  const { session, store, network, clientId, user } = await open();
  let before;
  network.faults = [(response) => ((before = store.state), response)];
  const holder = session();
  await holder.login(await code(clientId, user));
  assert.deepEqual(Object.keys(before.dpop_key), ['kty', 'crv', 'x', 'y', 'd']);
  assert.equal(before.refresh_token, '');
  assert.equal(before.format, 2);
  assert.equal(store.state.format, 2);
  assert.equal(store.state.token_type, 'DPoP');
  assert.equal((await world.family(user)).dpop_jkt, await holder.thumbprint());
  await world.advance(301);
  network.faults = ['lost', 503];
  await holder.token();
  await holder.login(await code(clientId, `${user} again`));
  await holder.logout();
  assert.equal(store.state.refresh_token, '');
  for (const { dpop_key, format } of store.saved) assert.deepEqual([dpop_key, format], [before.dpop_key, 2]);
  const shown = [inspect(holder, { depth: 9, showHidden: true }), JSON.stringify(holder), String(holder)].join();
  assert.ok(!shown.includes(before.dpop_key.d));
});

test('a refresh puts the key on record with its claim, so that it costs no save more', async () => {
  const { session, store, network, clientId, user } = await open('allowed');
  const holder = session();
  await holder.login(await world.login(clientId, user));
  assert.equal(store.state.format, 1);
  await world.advance(301);
  let claimed;
  network.faults = [(response) => ((claimed = store.state), response)];
  await holder.token();
  assert.equal(store.saved.length, 3, 'the login, the claim and the new token');
  assert.ok(claimed.attempt.claim && claimed.dpop_key);
  assert.deepEqual(store.state.dpop_key, claimed.dpop_key);
  assert.equal((await world.family(user)).dpop_jkt, undefined, 'what began without a key is never bound');
  assert.equal(store.state.token_type, 'DPoP', 'but its access tokens are');
});

test('a key that cannot be saved signs nothing', async () => {
  const { session, network, clientId, user } = await open();
  const broken = { load: async () => ({ version: 0, data: '' }), save: async () => Promise.reject(new Error('disk full')) };
  await assert.rejects(session({ store: broken }).login(await code(clientId, user)), { name: 'NotSavedError' });
  await assert.rejects(session({ store: broken }).thumbprint(), { name: 'NotSavedError' });
  assert.equal(network.requests.length, 0);
});

/** Loses each answer for ten lifetimes of an access token, or until the session dies. It reports whether it lives. */
async function loseTen(session, line) {
  for (let n = 0; n < 10; n++) {
    await world.advance(301);
    line.lost = Infinity;
    const error = await session.token().catch((thrown) => thrown);
    if (error instanceof LoginRequiredError) return false;
    assert.equal(error.name, 'RefreshError');
  }
  line.lost = 0;
  return true;
}

test('ten lost answers in a row, minutes apart, end no bound session', async () => {
  const { session, network, line, user } = await begin();
  assert.ok(await loseTen(session, line));
  assert.equal(new Set(network.requests.map(({ form }) => form.refresh_token)).size, 1);
  assert.equal((await world.family(user)).counter, 2, 'the newest each time');
  for (let n = 0; n < 2; n++) {
    await session.token();
    await world.advance(301);
  }
  const { status, counter } = await world.family(user);
  assert.deepEqual([status, counter], ['active', 3]);
});

test('without a key they are a theft', async () => {
  const { session, line, clientId, user } = await open('allowed', { dpop: false });
  const holder = session();
  await holder.login(await world.login(clientId, user));
  assert.equal(await loseTen(holder, line), false);
});

test('an old record works as long as it has the key, and gets the newest token', async () => {
  const { session, open, store, user, network } = await begin();
  const backup = await store.load();
  for (let n = 0; n < 5; n++) {
    await world.advance(301);
    await session.token();
  }
  const newest = store.state.refresh_token;
  const restored = new Witness();
  await restored.save({ version: 1, data: backup.data });
  const holder = open({ store: restored });
  await holder.token();
  assert.equal(restored.state.refresh_token, newest);
  assert.equal((await world.family(user)).status, 'active');
  // The same without the key: one refusal, and then nobody asks any more.
  const keyless = new Witness();
  const { dpop_key: _, ...rest } = JSON.parse(backup.data);
  await keyless.save({ version: 1, data: JSON.stringify({ ...rest, format: 1 }) });
  network.requests.length = 0;
  const lost = open({ store: keyless });
  for (let n = 0; n < 3; n++) await assert.rejects(lost.token(), (error) => error instanceof LoginRequiredError && error.refusal.code === 'invalid_grant');
  await assert.rejects(open({ store: keyless }).token(), LoginRequiredError);
  assert.deepEqual(answers(network), [400, 400], 'for the nonce, and the refusal');
  assert.equal((await world.family(user)).status, 'active', 'the session of the right key lives');
  await lost.login(await code('bound-required', `${user}-again`));
  await world.advance(301);
  await lost.token();
});

test('a stolen token gets nothing without its key, and using it ends nothing', async () => {
  const { session, store, user, clientId } = await begin();
  const stolen = store.state;
  const post = (headers = {}) =>
    fetch(world.issuer + '/oauth/token', { method: 'POST', headers, body: new URLSearchParams({ grant_type: 'refresh_token', refresh_token: stolen.refresh_token, client_id: clientId }) });
  for (let n = 0; n < 3; n++) {
    const answer = await post();
    assert.deepEqual([answer.status, (await answer.json()).error], [400, 'invalid_dpop_proof']);
    const thief = new Session({ issuer: world.issuer, clientId, store: new MemoryStore(), dpop: true, clock: world.clock });
    await thief.login({ refresh_token: stolen.refresh_token });
    await assert.rejects(thief.token(), LoginRequiredError);
    await world.advance(301);
    await session.token();
  }
  const { status, counter } = await world.family(user);
  assert.deepEqual([status, counter], ['active', 4]);
});

test('a server that asks for nonces all the time ends no session', async () => {
  const { session, network, store } = await begin();
  await world.advance(301);
  network.faults = Array(200).fill(() => new Response('{"error":"use_dpop_nonce"}', { status: 400, headers: { 'DPoP-Nonce': 'another' } }));
  await assert.rejects(session.token(), { name: 'RefreshError', code: 'use_dpop_nonce' });
  assert.equal(store.state.attempt.doubt_since, undefined, 'the token is in no doubt');
  network.faults = [];
  await session.token();
});

test('a clock that is hours off does no harm, and one that is days off is told', async (t) => {
  const { session, network, user } = await begin();
  const now = Date.now;
  let skew = 0;
  t.after(() => mock.restoreAll());
  mock.method(Date, 'now', () => now() + skew);
  for (const hours of [-7, 7]) {
    skew = hours * 3_600_000;
    await world.advance(301);
    await session.token();
  }
  skew = 90 * 24 * 3_600_000;
  await world.advance(301);
  await assert.rejects(session.token(), (error) => error.name === 'RefreshError' && error.code === 'invalid_dpop_proof' && /clock/.test(error.message));
  skew = 0;
  network.requests.length = 0;
  await session.token();
  assert.equal((await world.family(user)).status, 'active');
});

test('the policy says what is bound: off, allowed, required', async () => {
  for (const policy of ['off', 'allowed', 'required']) {
    const { session, clientId, user, store } = await open(policy);
    const holder = session();
    await holder.login(await code(clientId, user));
    assert.equal(store.state.token_type, policy === 'off' ? 'Bearer' : 'DPoP', policy);
    assert.equal((await world.family(user)).dpop_jkt, policy === 'off' ? undefined : await holder.thumbprint());
    await world.advance(301);
    assert.equal((await holder.token()).tokenType, policy === 'off' ? 'Bearer' : 'DPoP');
    const without = session({ dpop: false, store: new MemoryStore() });
    const login = without.login(await code(clientId, `${user}-without`));
    if (policy === 'required') {
      await assert.rejects(login, { name: 'RefreshError', code: 'invalid_dpop_proof' });
      continue;
    }
    await login;
    await world.advance(301);
    assert.equal((await without.token()).tokenType, 'Bearer');
    await assert.rejects(without.thumbprint(), /dpop is not set/);
  }
});

test('a policy that is switched off unbinds nothing', async () => {
  const { session, user, clientId } = await begin('allowed');
  await world.client(clientId, { policy: { access_token_lifetime: 300, dpop: 'off' }, redirect_uris: [redirectUri], scope: 'orders' });
  await world.advance(301);
  assert.equal((await session.token()).tokenType, 'DPoP');
  assert.ok((await world.family(user)).dpop_jkt);
});

test('a confidential client has bound access tokens, and a refresh token that is not', async () => {
  const clientId = 'bound-backend';
  await world.management.register(clientId, { type: 'confidential', policy: { access_token_lifetime: 300, dpop: 'required' } });
  const { client_secret } = await world.management.addSecret(clientId);
  const user = `user-${++users}`;
  const store = new Witness();
  const session = new Session({ issuer: world.issuer, clientId, clientSecret: client_secret, store, dpop: true, clock: world.clock });
  await session.login({ refresh_token: (await world.login(clientId, user)).refresh_token });
  const token = await session.token();
  assert.equal(claimsOf(token.accessToken).cnf.jkt, await session.thumbprint());
  assert.equal((await world.family(user)).dpop_jkt, undefined);
});

test('a record with a key is used with it, whatever the option says', async () => {
  const { open, store } = await begin();
  await world.advance(301);
  const other = open({ dpop: undefined });
  assert.equal((await other.token()).tokenType, 'DPoP');
  assert.ok(store.state.dpop_key);
});

test('a key that is none is refused, and not quoted', async () => {
  const { open, store } = await begin();
  const { version, data } = await store.load();
  const state = JSON.parse(data);
  await store.save({ version: version + 1, data: JSON.stringify({ ...state, dpop_key: { ...state.dpop_key, d: 'secret-text' } }) });
  await world.advance(301);
  await assert.rejects(open().token(), (error) => /DPoP key/.test(error.message) && !inspect(error).includes('secret-text'));
});

test('DynamoStore and FileStore keep the key, for all who share them', async (t) => {
  const folder = join(await mkdtemp(join(tmpdir(), 'rotor-dpop-')), 'alice');
  t.after(() => rm(folder, { recursive: true }));
  for (const place of [() => new FileStore(folder), () => new DynamoStore(db, 'sessions', 'bound')]) {
    const { open, user, network, clientId } = await begin('required', { store: place() });
    const holders = Array.from({ length: 5 }, () => open({ store: place(), clock: world.clock.shared }));
    assert.equal(new Set(await Promise.all(holders.map((holder) => holder.thumbprint()))).size, 1);
    for (let expiry = 0; expiry < 3; expiry++) {
      await world.advance(301);
      assert.equal(new Set((await Promise.all(holders.map(async (holder) => (await holder.token()).accessToken)))).size, 1);
    }
    assert.equal(answers(network).filter((status) => status === 200).length, 3);
    assert.equal((await world.family(user)).status, 'active');
    assert.ok(clientId);
  }
});

test('DynamoStore: a program in Go shares the session and its key', async () => {
  const clientId = await world.client('app', { policy: { access_token_lifetime: 300, dpop: 'required' } });
  const id = `bound-go-${++users}`;
  const clock = new TestClock(); // in Go it is now
  const session = new Session({ issuer: world.issuer, clientId, store: new DynamoStore(db, 'sessions', id), clock, dpop: true });
  const jkt = await session.thumbprint();
  await session.login({ refresh_token: (await world.login(clientId, id, undefined, jkt)).refresh_token });
  const inGo = async () => {
    const answer = await fetch(`${neighbours.holder}/token/${id}`);
    const text = await answer.text();
    if (!answer.ok) throw new Error(text);
    return text;
  };
  const refreshedInGo = await inGo();
  assert.equal(claimsOf(refreshedInGo).cnf.jkt, jkt, 'Go signs with the key of the record');
  const shared = await session.token();
  assert.equal(shared.authorization, `DPoP ${refreshedInGo}`);
  await world.advance(301);
  clock.skew += 301_000;
  const refreshedHere = (await session.token()).accessToken;
  assert.notEqual(refreshedHere, refreshedInGo);
  assert.equal(claimsOf(refreshedHere).cnf.jkt, jkt);
  assert.equal(await inGo(), refreshedHere);
  assert.equal((await world.family(id)).status, 'active');
});

test('ten holders that begin at once make one key', async () => {
  const { session, store } = await open();
  const keys = await Promise.all(Array.from({ length: 10 }, () => session({ clock: world.clock.shared }).thumbprint()));
  assert.equal(new Set(keys).size, 1);
  assert.equal(store.saved.length, 1);
});

// What a process does that dies: it logs in by a code, or refreshes, and is killed after its n-th save, or before its answer is saved.
for (const [dies, counter] of [['after the key', 0], ['before the exchange', 0], ['after the exchange', 1]]) {
  test(`killed ${dies}: the next login has the same key`, { timeout: 60_000 }, async (t) => {
    const root = await mkdtemp(join(tmpdir(), 'rotor-dpop-'));
    t.after(() => rm(root, { recursive: true }));
    const folder = join(root, 'alice');
    const { clientId, user, session } = await open();
    const first = await code(clientId, user);
    const child = fork(new URL('dying.mjs', import.meta.url), [JSON.stringify({ issuer: world.issuer, clientId, folder, login: first, dies })]);
    const [, signal] = await once(child, 'exit');
    assert.equal(signal, 'SIGKILL');
    assert.equal((await world.family(user)).counter, counter);
    const { dpop_key, refresh_token } = JSON.parse((await new FileStore(folder).load()).data);
    assert.ok(dpop_key && !refresh_token);
    const holder = session({ store: new FileStore(folder) });
    if (counter === 0) await holder.login(first); // the code is still good
    else await holder.login(await code(clientId, `${user}-again`));
    await world.advance(301);
    await holder.token();
    assert.deepEqual(JSON.parse((await new FileStore(folder).load()).data).dpop_key, dpop_key);
  });
}

/** Serves an API that takes bound tokens alone, and checks them by oauth4webapi. It returns its origin, and what it was asked. */
async function serveAPI(t, nonce) {
  const seen = [];
  const server = createServer(async (request, response) => {
    const headers = new Headers(request.headers);
    const proof = request.headers.dpop;
    seen.push({ method: request.method, proof, authorization: request.headers.authorization });
    if (nonce && claimsOf(proof).nonce !== nonce.now) {
      response.writeHead(401, { 'WWW-Authenticate': 'DPoP error="use_dpop_nonce"', 'DPoP-Nonce': nonce.now }).end();
      return;
    }
    try {
      const url = `http://${request.headers.host}${request.url}`;
      const claims = await oauth.validateJwtAccessToken({ issuer: world.issuer, jwks_uri: world.issuer + '/.well-known/jwks.json' }, new Request(url, { method: request.method, headers }), 'https://api.example.com', {
        requireDPoP: true, [oauth.allowInsecureRequests]: true,
      });
      response.end(claims.sub);
    } catch (error) {
      response.writeHead(401, { 'WWW-Authenticate': 'DPoP error="invalid_token"' }).end(String(error));
    }
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close());
  return { origin: `http://127.0.0.1:${server.address().port}`, seen };
}

test('fetch sends the token with a proof for it, and obeys the nonces of an API', async (t) => {
  for (const nonce of [undefined, { now: 'one' }]) {
    const { origin, seen } = await serveAPI(t, nonce);
    const clientId = await world.client('bound-api', { policy: { access_token_lifetime: 300, dpop: 'required' }, audience: 'https://api.example.com' });
    const user = `user-${++users}`;
    const store = new Witness();
    const session = new Session({ issuer: world.issuer, clientId, store, dpop: true, clock: world.clock, origins: [origin] });
    await session.login(await world.login(clientId, user, undefined, await session.thumbprint()));
    const use = async (init) => {
      const response = await session.fetch(origin + '/orders?id=1', init);
      return [response.status, await response.text()];
    };
    assert.deepEqual(await use(), [200, user]);
    assert.deepEqual(await use({ method: 'POST', body: 'one' }), [200, user]);
    const rounds = seen.length;
    assert.equal(rounds, nonce ? 3 : 2);
    if (nonce) {
      nonce.now = 'two';
      assert.deepEqual(await use({ method: 'PUT', body: 'two' }), [200, user]);
      assert.equal(seen.length, rounds + 2);
    }
    const last = seen.at(-1);
    assert.match(last.authorization, /^DPoP /);
    assert.deepEqual(Object.keys(headerOf(last.proof).jwk).sort(), ['crv', 'kty', 'x', 'y']);
    assert.equal(claimsOf(last.proof).htu, origin + '/orders');
    assert.equal(new Set(seen.map(({ proof }) => claimsOf(proof).jti)).size, seen.length, 'each proof is used once');
    assert.equal(store.saved.filter(({ attempt }) => attempt).length, 0, 'no refresh was needed');
    // Without its key the access token is worthless.
    for (const headers of [{ Authorization: last.authorization }, { Authorization: last.authorization.replace('DPoP', 'Bearer') }, { Authorization: last.authorization, DPoP: last.proof }]) {
      const url = origin + '/other';
      if (nonce && !headers.DPoP) continue; // which looks into the proof first
      assert.equal((await fetch(url, { headers })).status, 401);
    }
  }
});

test('an access token that an API refuses is refreshed once, with bound tokens too', async () => {
  const { open, network, tokens } = await begin();
  const seen = [];
  const holder = open({
    origins: ['https://api.example.com'],
    fetch: async (input, init) => {
      const request = new Request(input, init);
      if (request.url.includes('/oauth/')) return network.fetch(input, init);
      seen.push([request.headers.get('Authorization'), claimsOf(request.headers.get('DPoP')), await request.text()]);
      return new Response('', { status: request.headers.get('Authorization').includes(tokens.access_token) ? 401 : 200 });
    },
  });
  assert.equal((await holder.fetch('https://api.example.com/orders', { method: 'POST', body: 'one' })).status, 200);
  assert.deepEqual(seen.map(([, { htm, htu }, body]) => [htm, htu, body]), Array(2).fill(['POST', 'https://api.example.com/orders', 'one']));
  assert.notEqual(seen[0][1].ath, seen[1][1].ath);
});

/** Opens a browser with tabs of one page. */
async function browse(t, transport) {
  const clientId = await world.client(`bound-page-${transport}`, {
    policy: { access_token_lifetime: 300, dpop: 'required' }, redirect_uris: [redirectUri], scope: 'orders', ...(transport === 'cookie' && { transport }),
  });
  const user = `user-${++users}`;
  const cookies = new Cookies();
  const network = new Network(cookies.fetch);
  const locks = new Locks();
  const tab = (more = {}) => {
    const session = new page.Session({
      issuer: world.issuer, clientId, transport, name: user, locks, fetch: network.fetch, clock: world.clock.shared, pending: new Items(), dpop, ...more,
    });
    t.after(() => session.close());
    return session;
  };
  const login = async (session, id = user) => {
    const request = new URL(await session.authorizationUrl({ redirectUri }));
    assert.equal(request.searchParams.get('dpop_jkt'), await session.thumbprint());
    const { redirect_to } = await world.management.authorize({ user_id: id, request: Object.fromEntries(request.searchParams) });
    assert.ok(await session.handleRedirect(redirect_to));
  };
  /** Returns all that IndexedDB has of the session. */
  const kept = async () => {
    const opened = indexedDB.open('rotor');
    await new Promise((resolve) => (opened.onsuccess = resolve));
    const table = opened.result.transaction('sessions', 'readwrite').objectStore('sessions');
    const name = `${clientId} ${user}`;
    const read = async (at) => {
      const asked = table.get(at);
      await new Promise((resolve) => (asked.onsuccess = resolve));
      return asked.result;
    };
    return { record: await read(name), key: await read([name, 'dpop']), clear: () => opened.result.transaction('sessions', 'readwrite').objectStore('sessions').delete([name, 'dpop']) };
  };
  return { tab, login, kept, network, user, clientId, cookies };
}

for (const transport of ['token', 'cookie']) {
  test(`tabs share one key, which cannot be extracted (${transport})`, async (t) => {
    const { tab, login, kept, network, user } = await browse(t, transport);
    const tabs = Array.from({ length: 5 }, () => tab());
    const prints = await Promise.all(tabs.map((session) => session.thumbprint()));
    assert.equal(new Set(prints).size, 1);
    await login(tabs[0]);
    assert.equal((await world.family(user)).dpop_jkt, prints[0]);
    for (let expiry = 0; expiry < 3; expiry++) {
      await world.advance(301);
      const got = await Promise.all(tabs.map((session) => session.token()));
      assert.deepEqual([new Set(got.map(({ accessToken }) => accessToken)).size, got[0].tokenType], [1, 'DPoP']);
    }
    assert.equal(answers(network).filter((status) => status === 200).length, 3);
    const { record, key } = await kept();
    assert.equal(key.pair.privateKey.extractable, false);
    assert.deepEqual(key.pair.privateKey.algorithm, { name: 'ECDSA', namedCurve: 'P-256' });
    await assert.rejects(crypto.subtle.exportKey('jwk', key.pair.privateKey));
    assert.ok(!record.data.includes('dpop_key') && !/"d":/.test(record.data));
    await tabs[1].logout();
    assert.equal((await world.family(user)).status, 'revoked');
  });

  test(`a key that is gone asks for one login (${transport})`, async (t) => {
    const { tab, login, kept, network } = await browse(t, transport);
    const session = tab();
    await login(session);
    const before = await session.thumbprint();
    (await kept()).clear();
    await world.advance(301);
    network.requests.length = 0;
    for (let n = 0; n < 3; n++) await assert.rejects(session.token(), (error) => error instanceof page.LoginRequiredError && error.refusal.code === 'invalid_grant');
    assert.deepEqual(answers(network), [400, 400]);
    await login(session, 'somebody else');
    assert.notEqual(await session.thumbprint(), before);
    await world.advance(301);
    await session.token();
  });
}

test('a code is worthless for a key other than the one that has asked for it', async (t) => {
  const { tab, kept } = await browse(t, 'token');
  const session = tab();
  const request = new URL(await session.authorizationUrl({ redirectUri }));
  (await kept()).clear();
  const { redirect_to } = await world.management.authorize({ user_id: 'eve', request: Object.fromEntries(request.searchParams) });
  await assert.rejects(session.handleRedirect(redirect_to), page.LoginRequiredError);
});

test('a page that has a cookie and no storage begins no session without its key', async (t) => {
  const { tab, login, cookies, kept } = await browse(t, 'cookie');
  const first = tab();
  await login(first);
  assert.equal(cookies.size, 1);
  const other = tab({ name: 'empty', store: new page.MemoryStore() }); // which has another key
  assert.equal(await other.restore(), false);
  assert.ok((await kept()).record);
});

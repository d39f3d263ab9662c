// The management API, and forwarded callers, against the real service.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import test from 'node:test';
import { MemoryStore, Session } from '@rotor-auth/rotor/node';
import { Management, ProblemError, UnreachableError, forwardedFor } from '@rotor-auth/rotor/server';
import { TestClock, startNeighbours, startRotor } from './world.mjs';

const world = await startRotor();
const neighbours = await startNeighbours(world.issuer);
const clock = new TestClock();
const sha256 = (text, encoding) => createHash('sha256').update(text).digest(encoding);

/** Returns all that a call yields. */
async function all(generator) {
  const items = [];
  for await (const item of generator) items.push(item);
  return items;
}

/** Returns a client whose calls are recorded, and fail as told: each fault is a status, 'lost' or undefined. */
function faulty(faults = [], address = world.issuer) {
  const calls = [];
  const rotor = new Management(address, {
    clock,
    fetch: async (url, init) => {
      calls.push(`${init.method} ${new URL(url).pathname}`);
      const fault = faults.shift();
      if (typeof fault === 'number') return new Response('{"detail":"busy"}', { status: fault, headers: { 'Retry-After': '1' } });
      const response = await fetch(url, init);
      if (fault === 'lost') throw new TypeError('connection reset');
      return response;
    },
  });
  return { rotor, calls };
}

test('each operation of the OpenAPI document has a method', async () => {
  const { rotor, calls } = faulty();
  await rotor.register('app', { type: 'public', accepts_imported: true, redirect_uris: ['https://app.example.com/'] });
  await rotor.register('web', { type: 'confidential' });
  assert.equal((await rotor.registration('web')).type, 'confidential');
  assert.ok((await all(rotor.registrations())).some(({ client_id }) => client_id === 'app'));
  const { secret_id } = await rotor.addSecret('web');
  await rotor.removeSecret('web', secret_id);
  await rotor.deregister('web');
  const { family } = await rotor.startFamily({ user_id: 'alice', client_id: 'app', device: 'Pixel 9', claims: { tenant: 'acme' } });
  const verifier = 'dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk';
  const challenge = sha256(verifier, 'base64url');
  const started = await rotor.startWithCode({ user_id: 'alice', client_id: 'app', code_challenge: challenge });
  assert.ok(started.code.startsWith('rotor_'));
  const session = new Session({ issuer: world.issuer, clientId: 'app', store: new MemoryStore() });
  await session.login({ code: started.code, codeVerifier: verifier });
  assert.ok((await session.token()).accessToken);
  const request = { response_type: 'code', client_id: 'app', redirect_uri: 'https://app.example.com/', code_challenge: challenge, code_challenge_method: 'S256' };
  assert.match((await rotor.authorize({ user_id: 'alice', request })).redirect_to, /code=/);
  assert.deepEqual(await rotor.import('app', [{ user_id: 'alice', token_sha256: sha256('old', 'hex') }], true), [{ result: 'imported' }]);
  assert.equal((await rotor.family(family)).timeline[0].event, 'issued');
  assert.equal((await all(rotor.families({ userId: 'alice', clientId: 'app' }))).length, 3);
  assert.equal((await rotor.changeFamily(family, { acr: 'aal2' })).acr, 'aal2');
  assert.deepEqual(await all(rotor.changeFamilies('alice', { acr: 'aal1' })), [{ changed: 3 }]);
  assert.equal((await rotor.explain({ family })).verdict, 'valid');
  assert.equal(await rotor.revokeFamily(family), true);
  assert.equal(await rotor.revokeFamily(family), false);
  assert.deepEqual(await all(rotor.revokeFamilies({ userId: 'alice', dryRun: true })), [{ revoked: 2, dry_run: true }]);
  assert.deepEqual(await all(rotor.revokeFamilies({ userId: 'alice', cause: 'password_changed' })), [{ revoked: 2 }]);
  assert.ok((await all(rotor.events({ userId: 'alice' }))).length > 0);
  assert.equal((await all(rotor.eraseUser({ userId: 'alice' })))[0].families, 3);

  const document = JSON.parse(await readFile(new URL('../../../shared/openapi/openapi.json', import.meta.url), 'utf8'));
  let operations = 0;
  for (const [path, methods] of Object.entries(document.paths)) {
    const pattern = new RegExp(`^${path.replace(/\{[^}]*\}/g, '[^/]+')}$`);
    for (const method of ['get', 'put', 'post', 'patch', 'delete']) {
      if (!path.startsWith('/v1/') || !methods[method]) continue;
      operations++;
      assert.ok(calls.some((call) => call.startsWith(method.toUpperCase() + ' ') && pattern.test(call.split(' ')[1])), `no method calls ${method} ${path}`);
    }
  }
  assert.ok(operations >= 18, `the document has ${operations} operations`);
});

test('calls are signed as the verifier asks, whatever is in them', async () => {
  const credentials = { accessKeyId: 'AKIDEXAMPLE', secretAccessKey: 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY', sessionToken: 'a+session/token==' };
  // Only calls of https addresses are signed. The verifier has no certificate, so they reach it without TLS.
  const plain = (url, init) => fetch(String(url).replace('https:', 'http:'), init);
  const open = (options) => new Management(neighbours.signed.replace('http:', 'https:'), { region: 'eu-central-1', clock, fetch: plain, ...options });
  const rotor = open({ credentials: async () => credentials });
  await rotor.register('signed', { type: 'public' });
  for (const userId of ['alice', 'a b', 'a+b', 'a%2Fb', 'a/b/../c', 'auth0|5f7c', 'x=1&y=2', 'é中🙂', "~-._!*'()", 'a;b,c:d@e$f', '`"\\<>^{}|', '#?', '%', '..']) {
    await rotor.startFamily({ user_id: userId, client_id: 'signed' }, { idempotencyKey: `key-${sha256(userId, 'hex')}`, ip: '2001:db8::1', userAgent: 'Mozilla/5.0  (two spaces)' });
    const found = await all(rotor.families({ userId, clientId: 'signed' }));
    assert.deepEqual(found.map(({ user_id }) => user_id), [userId]);
    assert.deepEqual(await all(rotor.revokeFamilies({ userId })), [{ revoked: 1 }]);
  }
  for (const id of ['..', 'a b', 'a/b', '%', 'é', 'a+b', '~']) {
    await assert.rejects(rotor.registration(id), (error) => error instanceof ProblemError && [400, 404].includes(error.status), id);
  }
  for (const wrong of [{}, { credentials: { ...credentials, secretAccessKey: 'other' } }, { credentials, region: 'us-east-1' }]) {
    await assert.rejects(open(wrong).registrationPage(), (error) => error.status === 403 && /access denied.*GET\/v1\/clients/.test(error.message));
  }
});

test('a refusal is an error with all that the service says', async () => {
  const { rotor } = faulty();
  await assert.rejects(rotor.register('app', { type: 'public', policy: { reuse_interval: -1, max_active: 0 } }), (error) => {
    assert.ok(error instanceof ProblemError);
    assert.equal(error.status, 400);
    assert.equal(error.title, 'Bad Request');
    assert.deepEqual(error.errors.map(({ field }) => field), ['policy.reuse_interval', 'policy.max_active']);
    assert.match(error.message, /policy.reuse_interval is -1/);
    assert.equal(error.mayBeDone, false);
    return true;
  });
  await assert.rejects(rotor.family(''), /the id is empty/);
});

test('what can be repeated is repeated, and nothing else', async () => {
  await world.client('app');
  const login = { user_id: 'bob', client_id: 'app' };
  const cases = [
    ['a list', (rotor) => rotor.registrationPage(), [503, 'lost', 429], 4],
    ['a login with a key', (rotor) => rotor.startFamily(login, { idempotencyKey: 'k1' }), ['lost', 502], 3],
    ['a login without a key, which was refused for its rate', (rotor) => rotor.startFamily(login), [429], 2],
    ['a client that is gone', (rotor) => rotor.deregister('gone'), ['lost'], 2],
  ];
  await world.client('gone');
  for (const [name, call, faults, wanted] of cases) {
    const { rotor, calls } = faulty(faults);
    await call(rotor);
    assert.equal(calls.length, wanted, name);
  }
  const lost = faulty(['lost']);
  await assert.rejects(lost.rotor.startFamily(login), (error) => error instanceof UnreachableError && error.mayBeDone);
  assert.equal(lost.calls.length, 1);
  const busy = faulty([503, 503, 503, 503]);
  await assert.rejects(busy.rotor.revokeFamily('x'), (error) => error.status === 503 && error.mayBeDone);
  assert.equal(busy.calls.length, 4);
  const closed = createServer();
  await new Promise((resolve) => closed.listen(0, '127.0.0.1', resolve));
  const { port } = closed.address();
  await new Promise((resolve) => closed.close(resolve));
  const nobody = faulty([], `http://127.0.0.1:${port}`);
  await assert.rejects(nobody.rotor.registrationPage(), UnreachableError);
  assert.equal(nobody.calls.length, 1);
});

test('lists are read to their end, page by page', async () => {
  await world.client('app');
  const { rotor } = faulty();
  const families = await Promise.all(Array.from({ length: 110 }, () => rotor.startFamily({ user_id: 'carol', client_id: 'app' })));
  const found = await all(rotor.families({ userId: 'carol' }));
  assert.deepEqual(new Set(found.map(({ family }) => family)), new Set(families.map(({ family }) => family)));
  const first = await rotor.familyPage({ userId: 'carol' });
  assert.equal(first.items.length, 100);
  assert.equal((await rotor.familyPage({ userId: 'carol' }, first.next)).items.length, 10);
});

test('answers of something else are not taken for done', async () => {
  for (const body of ['', '<html>', '{}', '{"revoked":null}', '{"clients":[],"next":"again"}']) {
    const rotor = new Management(world.issuer, { fetch: async () => new Response(body) });
    await assert.rejects(rotor.revokeFamily('x'), /not that of a Rotor service/, body);
    await assert.rejects(all(rotor.registrations()), /not that of a Rotor service/, body);
  }
});

test('addresses that tokens must not go to are refused', () => {
  for (const address of ['http://auth.example.com', 'https://u:secret@auth.example.com', 'auth.example.com', 'ftp://auth.example.com', 'https://auth.example.com/?x']) {
    assert.throws(() => new Management(address), (error) => error instanceof TypeError && !error.message.includes('secret'));
  }
  assert.throws(() => new Management('https://auth.example.com', { credentials: { accessKeyId: 'a', secretAccessKey: 'b' } }), /region/);
});

test('a confidential client authenticates by its key', async () => {
  const { rotor } = faulty();
  for (const algorithm of [{ name: 'ECDSA', namedCurve: 'P-256' }, { name: 'Ed25519' }]) {
    const { privateKey, publicKey } = await crypto.subtle.generateKey(algorithm, false, ['sign', 'verify']);
    const { kty, crv, x, y } = await crypto.subtle.exportKey('jwk', publicKey);
    await rotor.register('keyed', { type: 'confidential', jwks: { keys: [{ kty, crv, x, y, kid: 'k' }] } });
    for (const clientKey of [privateKey, { key: privateKey, kid: 'k' }]) {
      const sent = [];
      const session = new Session({
        issuer: world.issuer, clientId: 'keyed', clientKey, store: new MemoryStore(), clock: world.clock,
        fetch: (url, init) => (sent.push(init), fetch(url, init)),
      });
      const { refresh_token } = await rotor.startFamily({ user_id: 'kim', client_id: 'keyed' });
      await session.login({ refresh_token });
      assert.ok((await session.token()).accessToken);
      await session.logout();
      assert.equal(sent.length, 2); // a refresh and a revocation
      const assertions = sent.map(({ body }) => body.get('client_assertion'));
      assert.notEqual(assertions[0], assertions[1]);
      for (const { body, headers } of sent) assert.ok(!body.has('client_secret') && !new Headers(headers).has('Authorization'));
    }
  }
  const { privateKey } = await crypto.subtle.generateKey({ name: 'Ed25519' }, false, ['sign', 'verify']);
  let sent = '';
  const stranger = new Session({
    issuer: world.issuer, clientId: 'keyed', clientKey: privateKey, store: new MemoryStore(), clock: world.clock,
    fetch: async (url, init) => {
      sent = init.body.get('client_assertion');
      const { status } = await fetch(url, init);
      return Response.json({ error: 'invalid_client', error_description: `not ${sent}` }, { status });
    },
  });
  const { refresh_token } = await rotor.startFamily({ user_id: 'kim', client_id: 'keyed' });
  await stranger.login({ refresh_token });
  await assert.rejects(stranger.token(), (error) => error.name === 'RefreshError' && error.status === 401 && sent && !error.message.includes(sent));
  assert.throws(() => new Session({ issuer: world.issuer, clientId: 'keyed', clientKey: privateKey, clientSecret: 's', store: new MemoryStore() }), /one way/);
});

test('the address and the agent of the end user are in the records and the events', async () => {
  const { rotor } = faulty();
  await rotor.register('backend', { type: 'confidential', may_forward: true });
  const { client_secret } = await rotor.addSecret('backend');
  const user = { ip: '203.0.113.24', userAgent: 'Mozilla/5.0 (the user)' };
  const tokens = await rotor.startFamily({ user_id: 'dora', client_id: 'backend' }, { ip: '203.0.113.9', userAgent: 'the login saw this' });
  assert.equal((await rotor.family(tokens.family)).last_ip, '203.0.113.9');
  const session = new Session({ issuer: world.issuer, clientId: 'backend', clientSecret: client_secret, store: new MemoryStore(), clock: world.clock });
  await session.login({ refresh_token: tokens.refresh_token });

  // A backend in between, and its user.
  const backend = createServer(async (request, response) => {
    const { accessToken } = await session.token({ headers: forwardedFor({ ip: user.ip, headers: request.headers }) });
    response.end(accessToken.slice(0, 2));
  });
  await new Promise((resolve) => backend.listen(0, '127.0.0.1', resolve));
  assert.equal(await (await fetch(`http://127.0.0.1:${backend.address().port}/`, { headers: { 'User-Agent': user.userAgent } })).text(), 'ey');
  await new Promise((resolve) => backend.close(resolve));
  const family = await rotor.family(tokens.family);
  assert.equal(family.last_ip, user.ip);
  assert.equal(family.last_user_agent, user.userAgent);

  // The token that was replaced comes back, from a thief behind the same backend.
  await world.advance(3700);
  await session.token({ headers: forwardedFor(user) });
  const stolen = new Session({ issuer: world.issuer, clientId: 'backend', clientSecret: client_secret, store: new MemoryStore(), clock: world.clock });
  await stolen.login({ refresh_token: tokens.refresh_token });
  await world.advance(100);
  await assert.rejects(stolen.token({ headers: forwardedFor({ ip: '198.51.100.66', userAgent: 'thief' }) }), { name: 'LoginRequiredError' });
  const [event] = await all(rotor.events({ userId: 'dora', from: new Date(world.clock.now().wall - 86_400_000), to: new Date(world.clock.now().wall + 86_400_000) }));
  assert.equal(event.cause, 'reuse_detected');
  assert.equal(event.ip, '198.51.100.66');
  assert.equal(event.userAgent, 'thief');
  assert.equal(event.forwardedBy, '127.0.0.1');
  assert.equal(event.otherIp, true);

  // A logout is forwarded as well.
  await session.login(await rotor.startFamily({ user_id: 'dora', client_id: 'backend' }));
  await session.logout({ headers: forwardedFor(user) });
});

test('what is forwarded can be sent as it is', () => {
  for (const [user, wanted] of [
    [{}, {}],
    [{ ip: '::ffff:192.0.2.1', userAgent: ' a\u00e9\nb ' }, { 'Rotor-Client-Ip': '192.0.2.1', 'Rotor-Client-User-Agent': 'a??b' }],
    [{ ip: 'fe80::1%eth0' }, { 'Rotor-Client-Ip': 'fe80::1' }],
    [{ ip: '192.0.2.1:5678' }, { 'Rotor-Client-Ip': '192.0.2.1' }],
    [{ ip: '[2001:db8::7]:5678' }, { 'Rotor-Client-Ip': '2001:db8::7' }],
    [{ ip: 'unknown' }, {}],
    [{ ip: '203.0.113.7, 10.0.0.1', userAgent: 'x' }, { 'Rotor-Client-User-Agent': 'x' }],
    [{ headers: { 'x-forwarded-for': '1.2.3.4' }, socket: { remoteAddress: '2001:db8::7' } }, { 'Rotor-Client-Ip': '2001:db8::7' }],
    [{ headers: { 'user-agent': 'x' }, ip: '192.0.2.9', socket: { remoteAddress: '10.0.0.1' } }, { 'Rotor-Client-Ip': '192.0.2.9', 'Rotor-Client-User-Agent': 'x' }],
  ]) {
    assert.deepEqual(forwardedFor(user), wanted);
  }
});

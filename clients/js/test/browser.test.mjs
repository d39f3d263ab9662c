// The session of a page, in tabs that share a store, against the real service. Chromium runs it for real elsewhere.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import test from 'node:test';
import { promisify } from 'node:util';
import { LoginRequiredError, MemoryStore, Session } from '@rotor-auth/rotor/browser';
import { Items, Locks, Network, startRotor } from './world.mjs';

const world = await startRotor();
let users = 0;

/** Opens a browser with tabs of one page. */
async function open(t, { locks = new Locks() } = {}) {
  const clientId = await world.client('spa', { policy: { access_token_lifetime: 300 }, redirect_uris: ['https://app.example.com/'], scope: 'orders' });
  const user = `user-${++users}`;
  const network = new Network();
  const store = new MemoryStore();
  const changes = [];
  const tab = (more = {}) => {
    const session = new Session({
      issuer: world.issuer, clientId, transport: 'token', name: user, store, locks, fetch: network.fetch, clock: world.clock, pending: new Items(),
      onChange: (change) => changes.push(change),
      ...more,
    });
    t.after(() => session.close());
    return session;
  };
  return { tab, network, store, user, clientId, changes };
}

for (const locks of [new Locks(), null]) {
  test(`ten tabs make one refresh for each expiry, ${locks ? 'with locks' : 'without locks'}`, async (t) => {
    const { tab, network, user, clientId } = await open(t, { locks });
    const tabs = Array.from({ length: 10 }, () => tab({ clock: world.clock.shared }));
    await tabs[0].login(await world.login(clientId, user));
    for (let expiry = 0; expiry < 5; expiry++) {
      await world.advance(301);
      const got = new Set((await Promise.all(tabs.map((session) => session.token()))).map((token) => token.accessToken));
      assert.equal(got.size, 1);
    }
    assert.equal(network.refreshes, 5);
    assert.equal((await world.family(user)).status, 'active');
  });
}

test('a login by a code: the request, the answer, the exchange', async (t) => {
  const { tab, user, network } = await open(t);
  const session = tab();
  const request = new URL(await session.authorizationUrl({ redirectUri: 'https://app.example.com/', scope: 'orders' }));
  assert.equal(request.origin + request.pathname, world.issuer + '/authorize');
  const { redirect_to } = await world.management.authorize({ user_id: user, request: Object.fromEntries(request.searchParams) });
  network.faults = [503];
  assert.deepEqual(await Promise.all([session.handleRedirect(redirect_to), session.handleRedirect(redirect_to)]), [true, true], 'a page mounts twice');
  await session.token();
  assert.equal((await world.family(user)).status, 'active');
  assert.equal(await session.handleRedirect(redirect_to), false, 'an answer is used once');
  assert.equal(await tab().handleRedirect('https://app.example.com/?code=stolen&state=other'), false);
});

test('a page that makes two sessions at once takes its answer once, for both', async (t) => {
  const { tab, user, network } = await open(t);
  const pending = new Items();
  const [first, second] = [tab({ pending }), tab({ pending })];
  const request = new URL(await first.authorizationUrl({ redirectUri: 'https://app.example.com/', scope: 'orders' }));
  const { redirect_to } = await world.management.authorize({ user_id: user, request: Object.fromEntries(request.searchParams) });
  const taken = await Promise.all([first.handleRedirect(redirect_to), second.handleRedirect('https://app.example.com/')]); // the address is clean by then
  assert.deepEqual(taken, [true, true]);
  assert.equal(await second.isLoggedIn(), true);
  assert.equal(network.requests.length, 1);
});

test('an answer from another issuer, or with an error, begins no session', async (t) => {
  const { tab, network } = await open(t);
  const session = tab();
  for (const answer of ['code=secret-code&iss=https://evil.example', `error=access_denied&iss=${world.issuer}`]) {
    const request = new URL(await session.authorizationUrl({ redirectUri: 'https://app.example.com/' }));
    await assert.rejects(session.handleRedirect(`https://app.example.com/?${answer}&state=${request.searchParams.get('state')}`), (error) => !error.stack.includes('secret-code'));
  }
  assert.equal(network.requests.length, 0);
});

test('other tabs are told of logins, logouts and refusals', async (t) => {
  const { tab, user, clientId, changes } = await open(t);
  const here = tab({ onChange: undefined });
  let told;
  const there = tab({ onChange: (change) => told(change) });
  await there.isLoggedIn();
  const next = () => new Promise((resolve) => (told = resolve));
  let heard = next();
  await here.login(await world.login(clientId, user));
  assert.equal(await heard, 'login');
  heard = next();
  await here.logout();
  assert.equal(await heard, 'logout');
  heard = next();
  const tokens = await world.login(clientId, user);
  await here.login(tokens);
  assert.equal(await heard, 'login');
  heard = next();
  await world.management.revokeFamily(tokens.family);
  await world.advance(301);
  await assert.rejects(here.token(), LoginRequiredError);
  assert.equal(await heard, 'login_required');
  assert.deepEqual(changes, []);
});

test('a listener that throws does no harm to the session', async (t) => {
  const { tab, user, clientId } = await open(t);
  const thrown = new Promise((resolve) => {
    process.setUncaughtExceptionCaptureCallback((error) => {
      process.setUncaughtExceptionCaptureCallback(null);
      resolve(error);
    });
  });
  const session = tab({
    onChange: () => {
      throw new Error('the page is broken');
    },
  });
  await session.login(await world.login(clientId, user));
  assert.ok((await session.token()).accessToken);
  assert.match((await thrown).message, /the page is broken/);
});

test('a logout counts for tabs with other parameters, also if the service does not hear of it', async (t) => {
  const { tab, user, clientId, network } = await open(t);
  const here = tab();
  const there = tab({ params: { scope: 'orders' } });
  await here.login(await world.login(clientId, user, { scope: 'orders' }));
  await there.token();
  network.faults = Array(4).fill(503);
  await assert.rejects(here.logout(), { name: 'RefreshError' });
  const before = network.refreshes;
  await assert.rejects(there.token(), LoginRequiredError);
  await world.advance(301);
  await assert.rejects(there.token(), LoginRequiredError);
  assert.equal(network.refreshes, before);
  assert.equal(await here.isLoggedIn(), false);
});

test('a session that is made where a page is rendered keeps no server from ending', async () => {
  const script = `import { Session } from '@rotor-auth/rotor/browser';
    new Session({ issuer: 'https://auth.example.com', clientId: 'spa', transport: 'cookie' });`;
  await promisify(execFile)(process.execPath, ['--input-type=module', '-e', script], { cwd: new URL('.', import.meta.url), timeout: 60_000 });
});

test('an origin that is none is refused', () => {
  for (const origin of ['localhost:3000', 'data:,x']) {
    assert.throws(() => new Session({ issuer: world.issuer, clientId: 'spa', transport: 'token', origins: [origin] }), /origin/);
  }
});

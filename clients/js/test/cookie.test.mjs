// The session of a page whose refresh token is in a cookie, in tabs that share a store, against the real service.
import assert from 'node:assert/strict';
import test from 'node:test';
import { inspect } from 'node:util';
import { LoginRequiredError, MemoryStore, Session } from '@rotor-auth/rotor/browser';
import { Cookies, Items, Locks, Network, startRotor } from './world.mjs';

const world = await startRotor();
const redirectUri = 'https://app.example.com/';
let users = 0;

/** Opens a browser with tabs of one page. */
async function open(t, { locks = new Locks(), cookies = new Cookies() } = {}) {
  const clientId = await world.client('spa', { transport: 'cookie', policy: { access_token_lifetime: 300 }, redirect_uris: [redirectUri], scope: 'orders' });
  const user = `user-${++users}`;
  const network = new Network(cookies.fetch);
  const store = new MemoryStore();
  const tab = (more = {}) => {
    const session = new Session({
      issuer: world.issuer, clientId, transport: 'cookie', name: user, store, locks, fetch: network.fetch, clock: world.clock, pending: new Items(), ...more,
    });
    t.after(() => session.close());
    return session;
  };
  /** Logs a user in by a code. */
  const login = async (session, userId = user) => {
    const request = new URL(await session.authorizationUrl({ redirectUri }));
    const { redirect_to } = await world.management.authorize({ user_id: userId, request: Object.fromEntries(request.searchParams) });
    assert.ok(await session.handleRedirect(redirect_to));
  };
  return { tab, login, network, store, cookies, user, clientId };
}

/** Returns what a record says, without its access token. */
const stateIn = async (store) => JSON.parse((await store.load()).data);

for (const locks of [new Locks(), null]) {
  test(`ten tabs make one refresh for each expiry, ${locks ? 'with locks' : 'without locks'}`, async (t) => {
    const { tab, login, network, user } = await open(t, { locks });
    const tabs = Array.from({ length: 10 }, () => tab({ clock: world.clock.shared }));
    await login(tabs[0]);
    for (let expiry = 0; expiry < 5; expiry++) {
      await world.advance(301);
      const got = new Set((await Promise.all(tabs.map((session) => session.token()))).map((token) => token.accessToken));
      assert.equal(got.size, 1);
    }
    assert.equal(network.refreshes, 5);
    assert.equal((await world.family(user)).status, 'active');
  });
}

test('a tab that is opened gets the access token of another one', async (t) => {
  const { tab, login, network } = await open(t);
  const first = tab();
  await login(first);
  assert.equal((await tab().token()).accessToken, (await first.token()).accessToken);
  assert.equal(network.refreshes, 0);
});

test('a page that is loaded again, and has no other tab, refreshes', async (t) => {
  const { tab, login, network } = await open(t);
  const first = tab();
  await login(first);
  first.close();
  await tab().token();
  assert.equal(network.refreshes, 1);
});

test('no token is in the store or in reach of the page', async (t) => {
  const { tab, login, store, cookies } = await open(t);
  const session = tab();
  await login(session);
  await world.advance(301);
  const { accessToken } = await session.token();
  const [refreshToken] = cookies.values();
  assert.match(refreshToken, /^rotor_/);
  const { data } = await store.load();
  for (const secret of [accessToken, refreshToken]) {
    for (const text of [data, inspect(session, { depth: 10, showHidden: true }), JSON.stringify(session)]) assert.ok(!text.includes(secret), text);
  }
  assert.match((await stateIn(store)).sid, /^[0-9A-Z]{26}$/);
});

for (const fault of ['lost', 'cut', 503]) {
  test(`the session lives after: ${fault}`, async (t) => {
    const { tab, login, network, user } = await open(t);
    const session = tab();
    await login(session);
    await world.advance(301);
    network.faults = [fault, fault];
    await session.token();
    assert.equal(network.refreshes, 3);
    await world.advance(301);
    await session.token();
    assert.equal((await world.family(user)).status, 'active');
  });
}

test('a refusal clears the cookie, and the service is asked once', async (t) => {
  const { tab, login, network, user, cookies } = await open(t);
  const [here, there] = [tab(), tab()];
  await login(here);
  await world.management.revokeFamily((await world.family(user)).family);
  await world.advance(301);
  for (const session of [here, there, here]) {
    await assert.rejects(session.token(), (error) => error instanceof LoginRequiredError && error.refusal.code === 'invalid_grant');
  }
  assert.equal(network.refreshes, 1);
  assert.equal(cookies.size, 0);
  await login(there);
  await here.token();
});

test('logout ends the family and clears the cookie', async (t) => {
  const { tab, login, network, user, cookies } = await open(t);
  const session = tab();
  await login(session);
  network.faults = ['lost'];
  await session.logout();
  assert.equal((await world.family(user)).status, 'revoked');
  assert.equal(cookies.size, 0);
  await assert.rejects(tab().token(), LoginRequiredError);
});

test('two users in one browser do not become each other', async (t) => {
  const cookies = new Cookies();
  const worlds = [await open(t, { cookies }), await open(t, { cookies })];
  const sessions = [];
  for (const { tab, login } of worlds) {
    const session = tab();
    await login(session);
    sessions.push(session);
  }
  await world.advance(301);
  const subjects = await Promise.all(sessions.map(async (session) => JSON.parse(atob((await session.token()).accessToken.split('.')[1])).sub));
  assert.deepEqual(subjects, worlds.map(({ user }) => user));
  await sessions[0].logout();
  await world.advance(301);
  await sessions[1].token();
  assert.equal(cookies.size, 1);
});

test('a token that the page had before moves into a cookie', async (t) => {
  const { tab, user, clientId, store, cookies } = await open(t);
  await world.client(clientId, { policy: { access_token_lifetime: 300 } });
  const { refresh_token } = await world.login(clientId, user);
  await open(t); // registers the client with the transport cookie again
  const session = tab();
  await session.login({ refresh_token });
  assert.equal(cookies.size, 1);
  const state = await stateIn(store);
  assert.equal(state.refresh_token, '');
  await session.login({ refresh_token }); // as a page that still finds it would do
  await world.advance(301);
  await session.token();
  assert.equal((await world.family(user)).status, 'active');
});

test('a page whose storage was cleared finds its session again', async (t) => {
  const { tab, login, cookies, network, user } = await open(t);
  assert.equal(await tab().restore(), false, 'there is no cookie');
  await login(tab());
  const cleared = { store: new MemoryStore(), name: 'cleared' };
  await assert.rejects(tab(cleared).token(), LoginRequiredError);
  assert.equal(await tab(cleared).restore(), true);
  assert.equal(JSON.parse(atob((await tab(cleared).token()).accessToken.split('.')[1])).sub, user);
  const { length } = network.requests;
  assert.equal(await tab(cleared).restore(), true);
  assert.equal(network.requests.length, length, 'a session that is known is not asked for');
  const other = await open(t, { cookies });
  await other.login(other.tab());
  assert.equal(await tab({ store: new MemoryStore(), name: 'again' }).restore(), false, 'there are several');
  assert.equal(cookies.size, 2);
});

test('nobody becomes the user before, whose cookie is still there', async (t) => {
  const { tab, login, user, cookies, network } = await open(t);
  const session = tab();
  await login(session);
  for (let n = 0; n < 9; n++) {
    await login(session, `${user}-${n}`);
    await session.logout();
  }
  assert.equal(cookies.size, 1, 'the first user did not log out');
  const before = network.requests.length;
  assert.equal(await session.restore(), false);
  assert.equal(network.requests.length, before);
});

test('a login that comes while a cookie is restored wins', async (t) => {
  const { tab, login, user, network } = await open(t);
  await login(tab());
  const store = new MemoryStore();
  const session = tab({ store });
  const other = `${user}-other`;
  network.faults = [async (answer) => {
    await login(tab({ store }), other);
    return answer;
  }];
  assert.equal(await session.restore(), true);
  assert.equal(JSON.parse(atob((await session.token()).accessToken.split('.')[1])).sub, other);
});

test('a logout that the service did not hear of is not undone', async (t) => {
  const { tab, login, network } = await open(t);
  const session = tab();
  await login(session);
  network.faults = Array(10).fill(503);
  await assert.rejects(session.logout(), { name: 'RefreshError' });
  network.faults = [];
  assert.equal(await session.restore(), false);
  await assert.rejects(session.token(), LoginRequiredError);
});

test('a client without the transport cookie is noticed at its login', async (t) => {
  const { tab, login, clientId, store } = await open(t);
  await world.client(clientId, { redirect_uris: [redirectUri], scope: 'orders' });
  await assert.rejects(login(tab()), /sid/);
  assert.equal((await store.load()).version, 0);
});

test('a client without the transport cookie is noticed when a token is to move into one', async (t) => {
  const { tab, user } = await open(t);
  const clientId = await world.client('body', { scope: 'orders' });
  const { refresh_token } = await world.management.startFamily({ user_id: user, client_id: clientId });
  await assert.rejects(tab({ clientId, store: new MemoryStore() }).login({ refresh_token }), /registered with the transport cookie/);
});

test('a page that goes back from the cookie to the token asks for a login', async (t) => {
  const { tab, login, clientId, network, user } = await open(t);
  await login(tab());
  await world.client(clientId, { redirect_uris: [redirectUri], scope: 'orders' });
  const session = tab({ transport: 'token' });
  assert.equal(await session.isLoggedIn(), false);
  const before = network.requests.length;
  await assert.rejects(session.token(), LoginRequiredError);
  assert.equal(network.requests.length, before);
  await session.login(await world.login(clientId, user));
  await session.token();
});

// The holder in Node, against the real service.
import assert from 'node:assert/strict';
import test from 'node:test';
import { inspect } from 'node:util';
import { ConflictError, LoginRequiredError, MemoryStore, NotSavedError, Session } from '@rotor-auth/rotor/node';
import { Network, startRotor } from './world.mjs';

const world = await startRotor();
let users = 0;

/** Logs a new user in, and returns a session of it. */
async function begin(options = {}) {
  const clientId = await world.client('app', { policy: { access_token_lifetime: 300 } });
  const user = `user-${++users}`;
  const tokens = await world.login(clientId, user);
  const network = new Network();
  const store = new MemoryStore();
  const open = (more = {}) => new Session({ issuer: world.issuer, clientId, store, fetch: network.fetch, clock: world.clock, ...options, ...more });
  const session = open();
  await session.login(tokens);
  return { session, open, network, store, tokens, user, clientId };
}

/** Returns the state in a store. */
const stateIn = async (store) => JSON.parse((await store.load()).data);

test('a token is handed out until shortly before its end, and then refreshed', async () => {
  const { session, network, tokens, store } = await begin();
  assert.equal((await session.token()).accessToken, tokens.access_token);
  assert.equal(network.refreshes, 0);
  await world.advance(290);
  const refreshed = await session.token();
  assert.notEqual(refreshed.accessToken, tokens.access_token);
  assert.equal(network.refreshes, 1);
  assert.ok(Math.abs(refreshed.expiresAt - world.clock.now().wall - 300_000) < 60_000, 'it ends in five minutes');
  assert.notEqual((await stateIn(store)).refresh_token, tokens.refresh_token);
});

test('fifty calls at once make one refresh', async () => {
  const { session, network } = await begin();
  await world.advance(290);
  const got = new Set((await Promise.all(Array.from({ length: 50 }, () => session.token()))).map((token) => token.accessToken));
  assert.equal(got.size, 1);
  assert.equal(network.refreshes, 1);
});

test('ten holders of one store make one refresh', async () => {
  const { open, network } = await begin();
  await world.advance(290);
  const got = new Set((await Promise.all(Array.from({ length: 10 }, () => open({ clock: world.clock.shared }).token()))).map((token) => token.accessToken));
  assert.equal(got.size, 1);
  assert.equal(network.refreshes, 1);
});

test('while one holder refreshes, the others wait for its token', async () => {
  const store = new MemoryStore();
  let loads = 0;
  let looked;
  const counted = {
    load: async () => {
      if (++loads === 10) looked?.();
      return store.load();
    },
    save: (record) => store.save(record),
  };
  const { open, network } = await begin({ store: counted });
  await world.advance(301);
  let other;
  network.faults = [
    async (response) => {
      loads = 0;
      const often = new Promise((resolve) => (looked = resolve));
      other = open({ clock: world.clock.shared }).token();
      await often; // the other one sees the claim, again and again
      return response;
    },
  ];
  const { accessToken } = await open({ clock: world.clock.shared }).token();
  assert.equal((await other).accessToken, accessToken);
  assert.equal(network.refreshes, 1);
});

for (const fault of ['lost', 'cut', 'unsent', 503, 429, 500]) {
  test(`the same token is presented again after: ${fault}`, async () => {
    const { session, network, user } = await begin();
    await world.advance(301);
    network.faults = [fault, fault];
    await session.token();
    assert.equal(network.refreshes, 3);
    assert.equal(new Set(network.requests.map(({ form }) => form.refresh_token)).size, 1);
    await world.advance(301);
    await session.token();
    assert.equal((await world.family(user)).status, 'active');
  });
}

test('a service that is down ends no session, and a usable token stays in use', async () => {
  const { session, network, tokens } = await begin();
  await world.advance(275);
  network.faults = ['unsent'];
  assert.equal((await session.token()).accessToken, tokens.access_token);
  await world.advance(30);
  network.faults = Array(100).fill(503);
  await assert.rejects(session.token(), { name: 'RefreshError', status: 503 });
  network.faults = [];
  assert.notEqual((await session.token()).accessToken, tokens.access_token);
});

test('a refused token is refused once, for all holders and for good', async () => {
  const { session, open, network, user } = await begin();
  await world.management.revokeFamily((await world.family(user)).family);
  await world.advance(301);
  await assert.rejects(session.token(), (error) => error instanceof LoginRequiredError && error.refusal.code === 'invalid_grant');
  await assert.rejects(session.token(), LoginRequiredError);
  await assert.rejects(open().token(), LoginRequiredError);
  assert.equal(network.refreshes, 1);
  await session.login(await world.login('app', user));
  await session.token();
});

test('after a refusal the store is read again first', async () => {
  const { session, network, store, user, clientId, open } = await begin();
  await world.management.revokeFamily((await world.family(user)).family);
  await world.advance(301);
  const newer = await world.login(clientId, user);
  network.faults = [
    async (response) => {
      await open().login(newer); // another process, before the answer is there
      return response;
    },
  ];
  assert.equal((await session.token()).accessToken, newer.access_token);
  assert.equal((await stateIn(store)).refusal, undefined);
});

test('a token that cannot be saved is not handed out, and not asked for again', async () => {
  const inner = new MemoryStore();
  let broken = false;
  const store = {
    load: () => inner.load(),
    save: async (record) => {
      if (broken && JSON.parse(record.data).attempt === undefined) throw new Error('disk full');
      return inner.save(record);
    },
  };
  const { session, network, user } = await begin({ store });
  await world.advance(301);
  broken = true;
  await assert.rejects(session.token(), NotSavedError);
  assert.equal(network.refreshes, 1);
  broken = false;
  await session.token();
  assert.equal(network.refreshes, 1);
  await world.advance(301);
  await session.token();
  assert.equal((await world.family(user)).status, 'active');
});

test('a save whose answer is lost is found in the store', async () => {
  const inner = new MemoryStore();
  const store = {
    load: () => inner.load(),
    save: async (record) => {
      await inner.save(record);
      if (JSON.parse(record.data).attempt === undefined) throw new Error('connection reset');
    },
  };
  const { session, network } = await begin({ store });
  await world.advance(301);
  await session.token();
  assert.equal(network.refreshes, 1);
});

test('a login that was saved before changes nothing', async () => {
  const { session, tokens, store } = await begin();
  await world.advance(301);
  await session.token();
  const { version } = await store.load();
  await session.login(tokens);
  assert.equal((await store.load()).version, version);
});

test('a wrong wall clock costs at most one refresh', async () => {
  const { open, network } = await begin();
  const clock = { now: () => ({ ...world.clock.now(), wall: world.clock.now().wall + 3_600_000 }), sleep: (...a) => world.clock.sleep(...a), random: () => 0.5 };
  const ahead = open({ clock });
  for (let i = 0; i < 3; i++) await ahead.token();
  assert.equal(network.refreshes, 1);
});

test('logout ends the family, here and there', async () => {
  const { session, open, network, user } = await begin();
  await session.logout();
  assert.equal((await world.family(user)).status, 'revoked');
  await assert.rejects(open().token(), LoginRequiredError);
  assert.equal(network.refreshes, 0);
  assert.equal(await session.isLoggedIn(), false);
});

test('a logout does not wait for a refresh', async () => {
  const { session, network, user } = await begin();
  await world.advance(301);
  let out;
  network.faults = [
    async () => {
      await (out = session.logout()); // while the answer is on its way
      return new Response('{}', { status: 503 });
    },
  ];
  await assert.rejects(session.token(), LoginRequiredError);
  await out;
  assert.equal(network.refreshes, 1);
  assert.equal((await world.family(user)).status, 'revoked');
});

test('a logout that the service does not hear of is told to it later', async () => {
  const { session, network, user } = await begin();
  network.faults = Array(10).fill(503);
  await assert.rejects(session.logout(), { name: 'RefreshError', status: 503 });
  await assert.rejects(session.token(), LoginRequiredError);
  assert.equal((await world.family(user)).status, 'active');
  network.faults = [];
  await session.logout();
  assert.equal((await world.family(user)).status, 'revoked');
});

test('a logout during a refresh wins', async () => {
  const { session, open, network, user } = await begin();
  await world.advance(301);
  network.faults = [
    async (response) => {
      await open({ fetch }).logout(); // another process
      return response;
    },
  ];
  await assert.rejects(session.token(), LoginRequiredError);
  assert.equal((await world.family(user)).status, 'revoked');
});

test('a logout during a refresh wins, also if the service does not hear of it', async () => {
  const { session, open, network, user, store } = await begin();
  await world.advance(301);
  network.faults = [
    async (response) => {
      await assert.rejects(open({ fetch: async () => new Response('{}', { status: 503 }) }).logout(), { name: 'RefreshError' });
      return response;
    },
  ];
  await assert.rejects(session.token(), LoginRequiredError);
  assert.equal((await stateIn(store)).refusal.code, 'logged_out');
  assert.equal((await stateIn(store)).access_token, undefined);
  await session.logout();
  assert.equal((await world.family(user)).status, 'revoked');
});

test('fetch authorizes requests to its origins alone, and refreshes once after a 401', async () => {
  const { network, open, tokens } = await begin();
  const seen = [];
  const api = async (input, init) => {
    const request = new Request(input, init);
    if (request.url.includes('/oauth/')) return network.fetch(input, init);
    seen.push([request.url, request.headers.get('Authorization'), await request.text()]);
    return new Response('', { status: request.headers.get('Authorization')?.includes(tokens.access_token) ? 401 : 200 });
  };
  const holder = open({ origins: [world.issuer], fetch: api });
  assert.equal((await holder.fetch(world.issuer + '/orders', { method: 'POST', body: 'one' })).status, 200);
  assert.equal(seen.length, 2);
  assert.deepEqual(seen.map(([, , body]) => body), ['one', 'one']);
  assert.equal(network.refreshes, 1);
  await holder.fetch('https://elsewhere.example/');
  assert.equal(seen[2][1], null);
  await assert.rejects(open().fetch(world.issuer), /origins/);
});

test('a request that cannot be sent again is not, and the next one has the new token', async () => {
  const bodies = { stream: () => [{ method: 'POST', body: new Blob(['one']).stream(), duplex: 'half' }], request: () => [] };
  for (const kind of Object.keys(bodies)) {
    const { network, open, tokens } = await begin();
    const seen = [];
    const holder = open({
      origins: ['https://api.example.com'],
      fetch: async (input, init) => {
        const request = new Request(input, init);
        if (request.url.includes('/oauth/')) return network.fetch(input, init);
        seen.push(await request.text());
        return new Response('', { status: request.headers.get('Authorization').includes(tokens.access_token) ? 401 : 200 });
      },
    });
    const url = 'https://api.example.com/';
    const input = kind === 'request' ? new Request(url, { method: 'POST', body: 'one' }) : url;
    assert.equal((await holder.fetch(input, ...bodies[kind]())).status, 401, kind);
    assert.deepEqual(seen, ['one'], kind);
    assert.equal((await holder.fetch(url)).status, 200, kind);
  }
});

test('a 401 for another reason is not answered by refreshing again and again', async () => {
  const { network, open } = await begin();
  const holder = open({
    origins: ['https://api.example.com'],
    fetch: async (input, init) => (String(input.url ?? input).includes('/oauth/') ? network.fetch(input, init) : new Response('', { status: 401 })),
  });
  for (let i = 0; i < 5; i++) assert.equal((await holder.fetch('https://api.example.com/')).status, 401);
  assert.equal(network.refreshes, 1);
});

test('secrets do not show', async () => {
  const { session, store, tokens, network } = await begin({ clientSecret: undefined });
  const token = await session.token();
  network.faults = [(response) => { throw new Error(`cannot send ${tokens.refresh_token}`); }].concat(Array(20).fill((response) => { throw new Error(`cannot send ${tokens.refresh_token}`); }));
  await world.advance(301);
  const error = await session.token().catch((thrown) => thrown);
  for (const thing of [session, store, token, error, new ConflictError()]) {
    for (const text of [String(thing), JSON.stringify(thing), inspect(thing, { depth: 10, showHidden: true }), error.stack]) {
      for (const secret of [tokens.refresh_token, tokens.access_token]) assert.ok(!text?.includes(secret), text);
    }
  }
});

test('an answer that does not come is not waited for', async () => {
  const { open, network, user } = await begin();
  const timeouts = [];
  const clock = {
    now: () => world.clock.now(),
    random: () => 0.5,
    sleep: (ms, signal) => (signal ? new Promise((resolve) => timeouts.push(resolve) && signal.addEventListener('abort', resolve)) : world.clock.sleep(ms)),
  };
  const reasons = [];
  const hanging = (input, init) => {
    if (reasons.length > 0) return network.fetch(input, init);
    timeouts.at(-1)(); // the request's own
    return new Promise(() => init.signal.addEventListener('abort', () => reasons.push(init.signal.reason.message)));
  };
  await world.advance(301);
  await open({ fetch: hanging, clock }).token();
  assert.match(reasons.join(), /^the request took longer than \d+ ms$/);
  assert.equal(network.refreshes, 1);
  assert.equal((await world.family(user)).status, 'active');
});

test('the service is asked no sooner than it says, and not much later', async () => {
  const { session, network } = await begin();
  await world.advance(301);
  const before = world.clock.skew; // which only pauses move here
  network.faults = [429, (response) => new Response('{}', { status: 503, headers: { 'Retry-After': '3600' } })];
  await session.token();
  const waited = world.clock.skew - before;
  assert.ok(waited >= 13_000 && waited < 20_000, `3 s and then, in place of an hour, 10 s: ${waited} ms`);
});

test('parameters are sent with each refresh, and further members are kept', async () => {
  const { open, network, clientId, user, store } = await begin();
  const audience = ['https://orders.example.com', 'https://billing.example.com'];
  const tokens = await world.management.startFamily({ user_id: user, client_id: clientId, audience, scope: 'openid orders' });
  const session = open({ params: { resource: audience[0] }, extra: ['scope', 'id_token', 'none'] });
  await session.login({ refresh_token: tokens.refresh_token });
  const token = await session.token();
  assert.equal(network.requests.at(-1).form.resource, audience[0]);
  assert.equal(JSON.parse(atob(token.accessToken.split('.')[1])).aud, audience[0]);
  assert.equal(token.extra.scope, 'openid orders');
  assert.deepEqual(Object.keys(token.extra), ['scope', 'id_token']);
  assert.deepEqual(Object.keys((await stateIn(store)).extra), ['scope', 'id_token']);
});

test('with a strict provider, too, holders of one store make one refresh for each expiry', async () => {
  const clientId = await world.client('strict', { policy: { access_token_lifetime: 300, reuse_interval: 0 } });
  const user = `user-${++users}`;
  const network = new Network();
  const store = new MemoryStore();
  const sessions = Array.from({ length: 10 }, () => new Session({ issuer: world.issuer, clientId, store, fetch: network.fetch, clock: world.clock.shared, reuseInterval: 0 }));
  await sessions[0].login(await world.login(clientId, user));
  for (let expiry = 0; expiry < 3; expiry++) {
    await world.advance(301);
    assert.equal(new Set((await Promise.all(sessions.map((session) => session.token()))).map((token) => token.accessToken)).size, 1);
  }
  assert.equal(network.refreshes, 3);
  assert.equal((await world.family(user)).status, 'active');
});

test('a caller that gives up while the record is read asks for no refresh', async () => {
  const { session, store, network } = await begin();
  await session.token();
  await world.advance(11); // so that the record is looked at
  const giveUp = new AbortController();
  const load = store.load.bind(store);
  store.load = () => {
    giveUp.abort(new Error('enough'));
    world.clock.skew += 301_000; // and the token ends meanwhile
    return load();
  };
  await assert.rejects(session.token({ signal: giveUp.signal }), /enough/);
  assert.equal(network.refreshes, 0);
});

test('a caller that gives up does not stop the refresh', async () => {
  const { session, network } = await begin();
  await world.advance(301);
  const giveUp = new AbortController();
  network.faults = [
    (response) => {
      giveUp.abort(new Error('enough'));
      return response;
    },
  ];
  await assert.rejects(session.token({ signal: giveUp.signal }), /enough/);
  await session.token();
  assert.equal(network.refreshes, 1);
});

test('wrong options are refused', () => {
  assert.ok(new Session({ issuer: 'https://auth.example.com', clientId: 'app', store: new MemoryStore(), reuseInterval: 1 }));
  const options = { issuer: 'https://auth.example.com', clientId: 'app', store: new MemoryStore() };
  for (const wrong of [{ issuer: 'http://auth.example.com' }, { issuer: 'https://u:p@auth.example.com' }, { params: { refresh_token: 'x' } }, { reuseInterval: -1 }, { reuseInterval: NaN }, { timeout: 30 }, { timeout: 20, reuseInterval: 30 }]) {
    assert.throws(() => new Session({ ...options, ...wrong }), TypeError, JSON.stringify(wrong));
  }
});

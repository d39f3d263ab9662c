// The stores: each is a compare-and-set, and a session in it survives what happens to processes.
import 'fake-indexeddb/auto';
import { DynamoDB } from '@aws-sdk/client-dynamodb';
import assert from 'node:assert/strict';
import { fork } from 'node:child_process';
import { chmod, link, mkdir, mkdtemp, readdir, rm, stat, symlink, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'node:test';
import { IndexedDBStore } from '@rotor-auth/rotor/browser';
import { ConflictError, DynamoStore, FileStore, MemoryStore, Session } from '@rotor-auth/rotor/node';
import { Network, TestClock, startNeighbours, startRotor } from './world.mjs';

const world = await startRotor();
const neighbours = await startNeighbours(world.issuer);
const db = new DynamoDB({ endpoint: neighbours.dynamodb, region: 'us-east-1', credentials: { accessKeyId: 'local', secretAccessKey: 'local' } });
const never = new AbortController().signal;
let ids = 0;

/** Returns a new folder that the test removes. */
async function folder(t) {
  const made = await mkdtemp(join(tmpdir(), 'rotor-js-'));
  t.after(() => rm(made, { recursive: true }));
  return made;
}

/** How a test opens a store of each kind. Two that it opens in the same place share a record. */
const kinds = {
  MemoryStore: () => {
    const store = new MemoryStore();
    return () => store;
  },
  FileStore: async (t) => {
    const path = join(await folder(t), 'alice');
    return () => new FileStore(path);
  },
  DynamoStore: () => {
    const id = `item-${++ids}`;
    return () => new DynamoStore(db, 'sessions', id);
  },
  IndexedDBStore: () => {
    const key = `key-${++ids}`;
    return () => new IndexedDBStore(key);
  },
};

for (const [kind, place] of Object.entries(kinds)) {
  test(`${kind}: what was saved is loaded, by another one too`, async (t) => {
    const open = await place(t);
    assert.deepEqual(await open().load(never), { version: 0, data: '' });
    for (let version = 1; version <= 5; version++) {
      await open().save({ version, data: `{"é":"${version}"}` }, never);
      assert.deepEqual(await open().load(never), { version, data: `{"é":"${version}"}` });
    }
  });

  test(`${kind}: a save that is not the next one is a conflict`, async (t) => {
    const open = await place(t);
    await open().save({ version: 1, data: 'one' }, never);
    await open().save({ version: 2, data: 'two' }, never);
    for (const version of [1, 2, 4]) await assert.rejects(open().save({ version, data: 'other' }, never), ConflictError);
    assert.equal((await open().load(never)).data, 'two');
  });

  test(`${kind}: of twenty saves at once, one succeeds`, async (t) => {
    const open = await place(t);
    for (let version = 1; version <= 5; version++) {
      const results = await Promise.allSettled(Array.from({ length: 20 }, (_, n) => open().save({ version, data: String(n) }, never)));
      const saved = results.flatMap(({ status }, n) => (status === 'fulfilled' ? [String(n)] : []));
      assert.equal(saved.length, 1);
      assert.equal((await open().load(never)).data, saved[0]);
      for (const { status, reason } of results) assert.ok(status === 'fulfilled' || reason instanceof ConflictError, String(reason));
    }
  });

  test(`${kind}: holders make one refresh for each expiry`, async (t) => {
    const open = await place(t);
    const clientId = await world.client('app', { policy: { access_token_lifetime: 300 } });
    const user = `user-${++ids}`;
    const network = new Network();
    const sessions = Array.from({ length: 5 }, () => new Session({ issuer: world.issuer, clientId, store: open(), fetch: network.fetch, clock: world.clock.shared }));
    await sessions[0].login(await world.login(clientId, user));
    for (let expiry = 0; expiry < 3; expiry++) {
      await world.advance(301);
      assert.equal(new Set((await Promise.all(sessions.map((session) => session.token()))).map((token) => token.accessToken)).size, 1);
    }
    assert.equal(network.refreshes, 3);
    assert.equal((await world.family(user)).status, 'active');
  });
}

test('FileStore: a file has mode 0600 in a folder with mode 0700, and two versions are kept', async (t) => {
  const path = join(await folder(t), 'alice');
  for (let version = 1; version <= 4; version++) await new FileStore(path).save({ version, data: 'x' });
  assert.equal((await stat(path)).mode & 0o777, 0o700);
  assert.deepEqual((await readdir(path)).sort(), ['3', '4']);
  for (const name of ['3', '4']) assert.equal((await stat(join(path, name))).mode & 0o777, 0o600);
});

test('FileStore: places where others could read or replace the token are refused', async (t) => {
  const root = await folder(t);
  const own = join(root, 'own');
  await new FileStore(own).save({ version: 1, data: 'x' });
  const cases = {
    'open to others': [/chmod 700/, (path) => mkdir(path).then(() => chmod(path, 0o750))],
    'a link to a folder': [/not a folder/, (path) => symlink(own, path)],
    'a file': [/not a folder/, (path) => writeFile(path, '')],
    'a linked record': [/symbolic link/, async (path) => {
      await mkdir(path, { mode: 0o700 });
      await symlink(join(own, '1'), join(path, '1'));
    }],
    'a folder in the place of a record': [/not a regular file/, (path) => mkdir(join(path, '1'), { recursive: true, mode: 0o700 })],
    'a record that is too long': [/larger/, async (path) => {
      await mkdir(path, { mode: 0o700 });
      await writeFile(join(path, '1'), 'x'.repeat(2 << 20));
    }],
    'no folder above': [/ENOENT/, async () => {}],
  };
  for (const [name, [error, prepare]] of Object.entries(cases)) {
    const path = name === 'no folder above' ? join(root, 'none', 'alice') : join(root, name);
    await prepare(path);
    await assert.rejects(new FileStore(path).load(), error, name);
  }
  assert.deepEqual(await new FileStore(own).load(), { version: 1, data: 'x' });
});

test('FileStore: what a dead process has left disturbs nobody, and is removed', async (t) => {
  const path = join(await folder(t), 'alice');
  const store = new FileStore(path);
  await store.save({ version: 1, data: 'one' });
  await writeFile(join(path, 'new-dead'), 'half a rec'); // it died before the link
  await link(join(path, '1'), join(path, 'new-linked')); // and after it
  await utimes(join(path, 'new-dead'), new Date(0), new Date(0));
  await utimes(join(path, 'new-linked'), new Date(0), new Date(0));
  assert.equal((await store.load()).data, 'one');
  await store.save({ version: 2, data: 'two' });
  assert.deepEqual((await readdir(path)).sort(), ['1', '2']);
});

test('FileStore: a save that is stopped for long brings back no old version', async (t) => {
  const store = new FileStore(join(await folder(t), 'alice'));
  await store.save({ version: 1, data: '1' });
  async function* late() {
    for (let version = 2; version <= 5; version++) await store.save({ version, data: String(version) }); // others
    yield 'late';
  }
  await assert.rejects(store.save({ version: 2, data: late() }), /others have saved/);
  assert.deepEqual(await store.load(), { version: 5, data: '5' });
});

test('FileStore: four processes that are killed all the time lose nothing', async (t) => {
  const path = join(await folder(t), 'alice');
  const clientId = await world.client('app', { policy: { access_token_lifetime: 300 } });
  const user = `user-${++ids}`;
  const first = new Session({ issuer: world.issuer, clientId, store: new FileStore(path), clock: world.clock });
  await first.login(await world.login(clientId, user));
  for (let round = 0; round < 3; round++) {
    await world.advance(301);
    const kids = Array.from({ length: 4 }, (_, n) => {
      const kid = fork(new URL('holder.mjs', import.meta.url), [world.issuer, clientId, path, String(world.clock.skew)]);
      // Two are killed, before or after they have refreshed; what they were about to do, the others do.
      if (n < 2) kid.once('message', () => kid.kill('SIGKILL'));
      return new Promise((resolve) => {
        let got;
        kid.on('message', (message) => (got = message.token ?? got));
        kid.on('exit', () => resolve(n < 2 ? undefined : (got ?? 'none')));
      });
    });
    const tokens = new Set((await Promise.all(kids)).filter(Boolean));
    assert.equal(tokens.size, 1);
    assert.ok(!tokens.has('none'));
  }
  assert.equal((await world.family(user)).status, 'active');
});

test('DynamoStore: a program in Go shares the session', async () => {
  const clientId = await world.client('app', { policy: { access_token_lifetime: 300 } });
  const id = `go-${++ids}`;
  const network = new Network();
  const clock = new TestClock(); // in Go it is now
  const session = new Session({ issuer: world.issuer, clientId, store: new DynamoStore(db, 'sessions', id), fetch: network.fetch, clock });
  const inGo = async () => {
    const answer = await fetch(`${neighbours.holder}/token/${id}`);
    const text = await answer.text();
    if (!answer.ok) throw new Error(text);
    return text;
  };
  await session.login({ refresh_token: (await world.login(clientId, id)).refresh_token });
  const refreshedInGo = await inGo();
  assert.equal((await session.token()).accessToken, refreshedInGo);
  assert.equal(network.refreshes, 0);
  await world.advance(301);
  clock.skew += 301_000;
  const refreshedHere = (await session.token()).accessToken;
  assert.notEqual(refreshedHere, refreshedInGo);
  assert.equal(await inGo(), refreshedHere);
  await world.management.revokeFamily((await world.family(id)).family);
  clock.skew += 301_000;
  await assert.rejects(session.token(), { name: 'LoginRequiredError' });
  await assert.rejects(inGo(), /login required/);
});

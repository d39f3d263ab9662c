// Kills a process of the package at each point of a refresh. Another one goes on.
import assert from 'node:assert/strict';
import test from 'node:test';
import { startRotor } from '../world.mjs';
import { bound, session } from './contenders.mjs';
import { Stage, prepare } from './stage.mjs';

const prepared = await prepare(await startRotor());

/** The points, and how many refreshes are sent by both processes together. */
const points = {
  'before the claim': 1,
  'after the claim': 1,
  'before the request': 1,
  'while the service answers': 2,
  'after the answer': 2,
  'before the save': 2,
  'after the save': 1,
};

for (const [point, requests] of Object.entries(points)) {
  /** Kills a process at the point, and lets go what comes after it. */
  const kill = async (t, contender = session) => {
    const stage = await Stage.open(prepared, contender);
    t.after(() => stage.close());
    const child = await stage.fork(50, point);
    if (point === 'while the service answers') stage.proxy.beforeAnswer = () => child.kill('SIGKILL');
    assert.equal(await stage.go(child), undefined, 'it was killed');
    stage.mend();
    return stage;
  };

  const check = async (stage, due = 0) => {
    assert.equal(stage.proxy.requests, requests + due);
    const { counter, status } = await stage.family();
    assert.deepEqual({ counter, status }, { counter: 2 + due, status: 'active' });
    await stage.advance(120_000);
    assert.ok(await stage.job(await stage.start()), 'the session goes on');
    assert.equal((await stage.family()).counter, 3 + due);
  };

  test(`killed ${point}: the next program goes on at once`, { timeout: 120_000 }, async (t) => {
    const stage = await kill(t);
    assert.ok(await stage.job(await stage.start()));
    await check(stage);
  });

  test(`killed ${point}: another process goes on 20 s later`, { timeout: 120_000 }, async (t) => {
    const stage = await kill(t);
    await stage.advance(20_000);
    assert.deepEqual(await stage.go(await stage.fork(50)), Array(50).fill(true));
    await check(stage);
  });

  test(`killed ${point}: a session with a key goes on two hours later`, { timeout: 120_000 }, async (t) => {
    const stage = await kill(t, bound);
    await stage.advance(7_200_000);
    assert.deepEqual(await stage.go(await stage.fork(50)), Array(50).fill(true));
    await check(stage, point === 'after the save' ? 1 : 0); // by then the saved access token has ended, too
  });
}

// Saves, claims and requests that fail, as in the tests of Rotor's tokensource for Go, with the same results.
import assert from 'node:assert/strict';
import test from 'node:test';
import { LoginRequiredError, NotSavedError } from '@rotor-auth/rotor/node';
import { startRotor } from '../world.mjs';
import { openSession, session } from './contenders.mjs';
import { first } from './proxy.mjs';
import { Stage, prepare } from './stage.mjs';

const prepared = await prepare(await startRotor(), 600);
const options = { timeout: 60_000 };
const diskFull = () => Promise.reject(new Error('disk full'));

/** Begins a session whose access token has expired. */
async function expired(t, isStrict = false) {
  const stage = await Stage.open(prepared, session, isStrict);
  t.after(() => stage.close());
  return stage;
}

/** Begins a session whose access token has 25 s left, so that it can be used but is due to be refreshed. */
async function early(t, isStrict = false) {
  const stage = await Stage.open(prepared, { ...session, login: () => {} }, isStrict);
  t.after(() => stage.close());
  await openSession(stage.environment()).login(stage.tokens);
  await stage.advance(575_000);
  return stage;
}

/** Checks what the service knows, and how many refreshes were sent. */
async function check(stage, expected) {
  const { counter, status } = await stage.family();
  assert.deepEqual({ counter, status, requests: stage.proxy.requests }, { status: 'active', ...expected });
}

/** Takes a token, and checks that the API accepts it. */
async function good(holder, stage) {
  const { accessToken } = await holder.token();
  assert.ok(await stage.isActive(accessToken), 'the access token is active');
  return accessToken;
}

/** Checks that there is no token, and why. */
function fails(holder, stage, reason) {
  const told = holder.token().catch((error) => {
    stage.print(error);
    throw error;
  });
  return assert.rejects(told, reason);
}

test('a token that is not saved is not handed out, and saved as soon as possible', options, async (t) => {
  const stage = await expired(t);
  const holder = openSession(stage.environment());
  stage.onSave = (isNew) => (isNew ? diskFull() : undefined);
  const isNotSaved = (error) => error instanceof NotSavedError && /could not be saved: disk full/.test(error.message);
  await fails(holder, stage, isNotSaved);
  await stage.advance(600_000);
  await fails(holder, stage, isNotSaved);
  await check(stage, { counter: 2, requests: 1 });
  stage.mend();
  await stage.advance(600_000);
  await good(holder, stage);
  await check(stage, { counter: 3, requests: 2 }); // the access token that was kept has expired by now
});

for (const [name, save] of Object.entries({
  'applied, but fails': async (work) => {
    await work();
    throw new Error('connection reset');
  },
  'applied twice': async (work) => {
    await work();
    await work();
  },
  'not applied, but does not fail': async () => {},
})) {
  test(`a save that is ${name}`, options, async (t) => {
    const stage = await expired(t);
    let saves = 0;
    const odd = { ...stage.environment(), save: (_, work) => (++saves === 2 ? save(work) : work()) };
    await good(openSession(odd), stage);
    await good(openSession(stage.environment()), stage);
    await check(stage, { counter: 2, requests: 1 });
  });
}

test('nothing is sent without a claim', options, async (t) => {
  const stage = await expired(t);
  const holder = openSession(stage.environment());
  stage.onSave = diskFull;
  await fails(holder, stage, (error) => !(error instanceof NotSavedError) && /disk full/.test(error.message));
  await check(stage, { counter: 1, requests: 0 });
  stage.mend();
  await good(holder, stage);
  await check(stage, { counter: 2, requests: 1 });
});

test('a process that was stopped during its claim sends nothing by that claim', options, async (t) => {
  const stage = await expired(t);
  let saves = 0;
  let sentBefore;
  stage.onSave = async () => {
    if (++saves === 1) await stage.freeze(7_000); // more than half of the pace
    if (saves === 2) sentBefore = stage.proxy.requests;
  };
  await good(openSession(stage.environment()), stage);
  assert.equal(sentBefore, 0);
  await check(stage, { counter: 2, requests: 1 });
});

for (const isSaved of [true, false]) {
  test(`an answer comes after the claim has lapsed, and another process has ${isSaved ? 'saved' : 'claimed'}`, options, async (t) => {
    const stage = await expired(t);
    const [slowGoes, quickGoes, slowSent, quickSent] = [latch(), latch(), latch(), latch()];
    stage.proxy.beforeAnswer = async (n) => {
      [slowSent, quickSent][n - 1]?.open();
      await [slowGoes, quickGoes][n - 1];
    };
    const slow = good(openSession(patient(stage)), stage);
    await slowSent;
    const quick = good(openSession(patient(stage)), stage);
    await quickSent; // the claim has lapsed while it waited
    const order = [[quickGoes, quick], [slowGoes, slow]];
    for (const [goes, done] of isSaved ? order : order.reverse()) {
      goes.open();
      await done;
    }
    assert.ok((await slow) === (await quick), 'both have the same token');
    await check(stage, { counter: 2, requests: 2 });
  });
}

for (const isStrict of [false, true]) {
  const name = isStrict ? 'a strict provider is not asked by a process whose wall clock is an hour ahead' : 'a process whose wall clock is an hour ahead asks the provider as well';
  test(`${name}, while another one's refresh is under way`, options, async (t) => {
    const stage = await expired(t, isStrict);
    const [sent, goes] = [latch(), latch()];
    stage.proxy.beforeAnswer = (n) => {
      if (n > 1) return;
      sent.open();
      return goes;
    };
    const holder = good(openSession(patient(stage)), stage);
    await sent;
    stage.later(5_000, () => (goes.open(), holder));
    const other = good(openSession(patient(stage, 3_600_000)), stage);
    if (!isStrict) other.then(goes.open, goes.open);
    const isSame = (await holder) === (await other);
    // The other one takes the first one's access token for an hour old. So after its wait it refreshes once more.
    assert.equal(isSame, !isStrict);
    await check(stage, { counter: isStrict ? 3 : 2, requests: 2 });
  });
}

test('a login by another process is noticed within ten seconds, while the access token can still be used', options, async (t) => {
  const stage = await expired(t);
  const holder = openSession(stage.environment());
  const before = await good(holder, stage);
  await stage.signInAgain();
  assert.ok((await holder.token()).accessToken === before, 'the store is not read each time');
  await stage.advance(10_000);
  assert.ok((await good(holder, stage)) !== before);
});

/** Returns an environment without timeouts, for several programs at once, of which one moves the time while others read and send. */
function patient(stage, skew) {
  const environment = stage.environment(skew);
  const { clock } = environment;
  const never = (signal) => new Promise((resolve) => signal.addEventListener('abort', resolve));
  return { ...environment, clock: { ...clock, sleep: (ms, signal) => (signal ? never(signal) : clock.sleep(ms)) } };
}

/** Returns a promise that resolves when it is opened. */
function latch() {
  let open;
  return Object.assign(new Promise((resolve) => (open = resolve)), { open: () => open() });
}

test('a failed refresh does not matter while the access token can be used', options, async (t) => {
  const stage = await early(t);
  const holder = openSession(stage.environment());
  stage.proxy.fault = () => 'busy'; // which leaves no doubt
  for (let n = 0; n < 5; n++) assert.ok((await good(holder, stage)) === stage.tokens.access_token);
  await check(stage, { counter: 1, requests: 1 });
  stage.mend();
  await stage.advance(10_000);
  assert.notEqual(await good(holder, stage), stage.tokens.access_token);
  await check(stage, { counter: 2, requests: 2 });
});

test('a token in doubt is presented again at once, even if the access token can still be used', options, async (t) => {
  const stage = await early(t);
  stage.proxy.fault = first('lost');
  assert.notEqual(await good(openSession(stage.environment()), stage), stage.tokens.access_token);
  await check(stage, { counter: 2, requests: 2 });
});

for (const [fault, survives, during] of [['lost', false, 1], ['failed', true, 1], ['busy', true, 2]]) {
  test(`a provider without a reuse interval, and a refresh that is ${fault}`, options, async (t) => {
    const stage = await early(t, true);
    const holder = openSession(stage.environment());
    stage.proxy.fault = first(fault);
    await good(holder, stage);
    await stage.advance(2_000); // the pause
    for (let n = 0; n < 3; n++) await good(holder, stage);
    assert.equal(stage.proxy.requests, during, 'while the access token can be used');
    await stage.advance(30_000);
    if (survives) await good(holder, stage);
    else await fails(holder, stage, LoginRequiredError);
    const { status } = await stage.family();
    assert.deepEqual([stage.proxy.requests, status === 'active'], [2, survives]);
    if (survives) return;
    await fails(holder, stage, LoginRequiredError);
    assert.equal(stage.proxy.requests, 2, 'a refused token is refused once');
  });
}

test('a claim that could not be released is not waited for by its own process', options, async (t) => {
  const stage = await expired(t, true);
  let saves = 0;
  stage.onSave = () => (++saves === 2 ? diskFull() : undefined);
  stage.proxy.fault = first('failed');
  const began = stage.now();
  await good(openSession(stage.environment()), stage);
  assert.ok(stage.now() - began < 20_000, 'it waited for less than the claim');
  await check(stage, { counter: 2, requests: 2 });
});

for (const processes of [1, 3]) {
  test(`${processes} processes make few requests while the service is down`, options, async (t) => {
    const stage = await expired(t);
    const counted = stage.during(60_000, () => 'failed');
    let within = 0;
    stage.proxy.fault = () => {
      if (counted()) within++;
      return 'failed';
    };
    const holders = Array.from({ length: processes }, () => openSession(patient(stage)));
    await Promise.all(holders.map((holder) => fails(holder, stage, { name: 'RefreshError' })));
    assert.ok(within >= 3 && within <= 17, `${within} requests in a minute`);
    await stage.advance(600_000);
    const sent = stage.proxy.requests;
    stage.mend();
    await good(holders[0], stage);
    await check(stage, { counter: 2, requests: sent + 1 }); // nothing but the token in doubt is left, and it is good
  });
}

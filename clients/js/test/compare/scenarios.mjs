// What happens to a session whose access token has expired, as in the tests of Rotor's tokensource for Go, by the same names.
import { chmod, cp, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { first } from './proxy.mjs';
import { Stage } from './stage.mjs';

const hour = 3_600_000;

/** Returns a scenario in which a program does one job while the refreshes fail. */
const faulty = (fault) => async (stage) => {
  const program = await stage.start();
  stage.proxy.fault = fault(stage);
  await stage.job(program);
  return program;
};

/** Lets another process do a job, and then ten of a process whose wall clock is wrong. */
const wrong = (skew) => async (stage) => {
  await stage.job(await stage.start());
  const program = await stage.start(skew);
  for (let n = 0; n < 10; n++) await stage.job(program);
  return program;
};

async function fifty(stage) {
  const program = await stage.start();
  stage.proxy.gate({ Session: 1, OAuth2Fetch: 1, 'read, refresh, write': 50 }[stage.contender.name]);
  const results = await Promise.all(Array.from({ length: 50 }, () => stage.job(program)));
  if (stage.contender.name === 'Session' && !results.every(Boolean)) throw new Error('a caller has no token');
  return program;
}

/** Lets four processes make fifty calls each. */
async function four(stage) {
  const children = await Promise.all([1, 2, 3, 4].map(() => stage.fork(50)));
  stage.proxy.gate({ Session: 1, OAuth2Fetch: 4, 'read, refresh, write': 200 }[stage.contender.name]);
  const results = await Promise.all(children.map((child) => stage.go(child)));
  if (stage.contender.name === 'Session' && !results.flat().every(Boolean)) throw new Error('a caller has no token');
  return stage.start();
}

const lostRow = 'a response is lost, is cut, or is a 503 although the refresh was done';
const downRow = 'the server fails, or cannot be reached, for 5 s';
const clockRow = 'the wall clock is an hour wrong';
const crowdRow = 'fifty callers, four processes, at once';
const strictRow = 'the same, and a provider without a reuse interval';
const both = ['OAuth2Fetch', 'read, refresh, write'];

/**
 * row is the row of the tables in the documentation, which may hold several scenarios. dies lists the contenders that must lose
 * the session; the others must not. requests is the most that the package may make.
 */
export const scenarios = [
  { name: 'nothing', requests: 1, dies: [], run: faulty(() => () => undefined) },
  { name: 'response lost', row: lostRow, requests: 2, dies: both, run: faulty(() => first('lost')) },
  { name: 'response cut in the middle', row: lostRow, requests: 2, dies: both, run: faulty(() => first('cut')) },
  { name: '503, although it was done', row: lostRow, requests: 2, dies: both, run: faulty(() => first('failed after')) },
  { name: 'server answers 503 for 5 s', row: downRow, requests: 7, dies: [], run: faulty((stage) => stage.during(5_000, () => 'failed')) },
  { name: 'responses lost for 5 s', row: lostRow, requests: 7, dies: both, run: faulty((stage) => stage.during(5_000, () => 'lost')) },
  {
    name: 'server cannot be reached for 5 s', row: downRow, requests: 7, dies: [],
    run: async (stage) => {
      const program = await stage.start();
      await stage.proxy.down();
      stage.later(5_000, () => stage.proxy.up());
      await stage.job(program);
      return program;
    },
  },
  {
    name: 'a response takes 15 s', requests: 2, dies: [],
    run: async (stage) => {
      const program = await stage.start();
      stage.proxy.beforeAnswer = (n) => (n === 1 ? stage.advance(15_000) : undefined);
      await stage.job(program);
      return program;
    },
  },
  {
    name: 'save fails for 5 s', row: 'saving fails for 5 s', requests: 1, dies: ['read, refresh, write'],
    run: async (stage) => {
      const program = await stage.start();
      const fail = stage.during(5_000, () => Promise.reject(new Error('disk full')));
      stage.onSave = (isNew) => (isNew ? fail() : undefined);
      await stage.job(program);
      stage.mend();
      return program;
    },
  },
  {
    name: 'store unreachable for 5 s', requests: 1, dies: [],
    run: async (stage) => {
      const program = await stage.start();
      stage.onLoad = stage.onSave = stage.during(5_000, () => Promise.reject(new Error('the store cannot be reached')));
      await stage.job(program);
      stage.mend();
      return program;
    },
  },
  {
    name: 'each access to the store takes 6 s, for 20 s', requests: 1, dies: [],
    run: async (stage) => {
      const program = await stage.start();
      stage.onLoad = stage.onSave = stage.during(20_000, () => stage.advance(6_000));
      await stage.job(program);
      stage.mend();
      return program;
    },
  },
  {
    name: 'killed between response and save, back in 20 s', row: 'killed between response and save, back inside the reuse interval', requests: 2, dies: [],
    run: async (stage) => {
      if (await stage.go(await stage.fork(1, 'before the save'))) throw new Error('the process was not killed');
      await stage.advance(20_000);
      const program = await stage.start();
      await stage.job(program);
      return program;
    },
  },
  {
    name: 'killed after the save, back in two minutes', row: 'killed after the save, back later', requests: 1, dies: [],
    run: async (stage) => {
      if (await stage.go(await stage.fork(1, 'after the save'))) throw new Error('the process was not killed');
      return stage.start();
    },
  },
  { name: "another process's wall clock is an hour ahead", row: clockRow, requests: 2, dies: [], run: wrong(hour) },
  { name: "another process's wall clock is an hour behind", row: clockRow, requests: 1, dies: [], run: wrong(-hour) },
  {
    name: 'two machines, two minutes apart', row: 'two machines, minutes apart', requests: 2, dies: ['OAuth2Fetch'],
    run: async (stage) => {
      const [a, b] = [await stage.start(), await stage.start()];
      await stage.job(a);
      await stage.advance(120_000);
      await stage.job(b);
      return b;
    },
  },
  {
    name: 'another process signs in again, and the old session ends', row: 'the user signs in again by another process, and the old session ends', requests: 2, dies: ['OAuth2Fetch'],
    run: async (stage) => {
      const program = await stage.start();
      await stage.job(program);
      await stage.signInAgain();
      await stage.advance(10_000);
      await stage.job(program);
      return program;
    },
  },
  { name: 'fifty callers', row: crowdRow, requests: 1, dies: [], run: fifty },
  { name: 'fifty callers, strict provider', row: strictRow, strict: true, requests: 1, dies: ['read, refresh, write'], run: fifty },
  { name: 'four processes', row: crowdRow, requests: 1, dies: [], run: four },
  { name: 'four processes, strict provider', row: strictRow, strict: true, requests: 1, dies: both, run: four },
];

/** What only a session with a key survives. */
export const keyedScenarios = [
  {
    row: 'killed between response and save, back two hours later', requests: 2,
    run: async (stage) => {
      if (await stage.go(await stage.fork(1, 'before the save'))) throw new Error('the process was not killed');
      await stage.advance(2 * hour);
      const program = await stage.start();
      await stage.job(program);
      return program;
    },
  },
  {
    row: 'all responses are lost for twenty minutes', requests: 100,
    run: async (stage) => {
      const program = await stage.start();
      stage.proxy.fault = () => 'lost';
      for (let n = 0; n < 10; n++) {
        await stage.job(program);
        await stage.advance(120_000);
      }
      return program;
    },
  },
  {
    row: 'the store is restored from a backup of the day before', requests: 6, // of which two had a nonce that was too old
    run: async (stage) => {
      const backup = join(stage.root, 'backup');
      await cp(stage.folder, backup, { recursive: true });
      const before = await stage.start();
      for (let n = 0; n < 3; n++) {
        await stage.job(before);
        await stage.advance(8 * hour);
      }
      await rm(stage.folder, { recursive: true });
      await rename(backup, stage.folder);
      await chmod(stage.folder, 0o700);
      const program = await stage.start();
      await stage.job(program);
      return program;
    },
  },
];

/**
 * Plays a scenario, and then two more jobs, each two minutes later. The session has survived if the last one succeeds. The requests
 * are those of the scenario alone.
 */
export async function play(prepared, { run, strict }, contender) {
  const stage = await Stage.open(prepared, contender, strict);
  try {
    const program = await run(stage);
    const { requests } = stage.proxy;
    stage.mend();
    let survived;
    for (let n = 0; n < 2; n++) {
      await stage.advance(120_000);
      survived = await stage.job(program);
    }
    return { survived, requests };
  } finally {
    await stage.close();
  }
}

// A stage: one session, with a folder that keeps it, a proxy before the service, and time that does not pass by itself.
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { systemClock } from '../../dist/clock.js';
import { keyed } from './contenders.mjs';
import { Proxy } from './proxy.mjs';

const system = systemClock();

let users = 0;

/** Registers the clients of the stages: "jobs", "jobs-strict", whose provider has no reuse interval, and the API, which introspects. By default access tokens live so short that each job needs another. */
export async function prepare(world, lifetime = 60) {
  await world.client('jobs', { policy: { access_token_lifetime: lifetime, dpop: 'allowed' } });
  await world.client('jobs-strict', { preset: 'auth0', policy: { access_token_lifetime: lifetime } });
  await world.management.register('api', { type: 'confidential', may_introspect: true });
  const { client_secret } = await world.management.addSecret('api');
  return { world, credentials: 'Basic ' + btoa(`api:${client_secret}`) };
}

export class Stage {
  /** What happens before the store is read. */
  onLoad = undefined;
  /** What happens before the store is written. It is told whether this brings a new refresh token. */
  onSave = undefined;
  /** What was printed of errors. */
  printed = [];
  contender;
  #world;
  #credentials;
  #timers = new Set();
  #children = [];

  /** Begins a session of the contender, whose access token has expired. */
  static async open({ world, credentials }, contender, strict = false) {
    const stage = new Stage();
    Object.assign(stage, { contender, strict, clientId: strict ? 'jobs-strict' : 'jobs', user: `user-${++users}` });
    stage.#world = world;
    stage.#credentials = credentials;
    stage.root = await mkdtemp(join(tmpdir(), 'rotor-compare-'));
    stage.folder = join(stage.root, 'session');
    stage.proxy = await Proxy.start(world.issuer, (token) => stage.isActive(token));
    stage.tokens = await world.login(stage.clientId, stage.user, {}, await contender.thumbprint?.(stage.environment()));
    stage.first = stage.tokens.refresh_token;
    await contender.login(stage.environment(), stage.first);
    return stage;
  }

  async close() {
    for (const child of this.#children) child.kill('SIGKILL');
    await this.proxy.down();
    await rm(this.root, { recursive: true });
    const printed = this.printed.join('\n');
    for (const secret of [this.first, ...this.proxy.secrets]) if (printed.includes(secret)) throw new Error('a token was printed');
  }

  /** What a program of the contender lives in. Its wall clock is wrong by so many milliseconds. */
  environment(skew = 0) {
    return {
      address: this.proxy.address,
      service: this.#world.issuer,
      clientId: this.clientId,
      folder: this.folder,
      reuseInterval: this.strict ? 0 : 60,
      fetch: this.proxy.fetch,
      clock: this.clock(skew),
      load: async (work) => {
        await this.onLoad?.();
        return work();
      },
      save: async (data, work) => {
        await this.onSave?.(!data.includes(this.first));
        return work();
      },
    };
  }

  /** Starts a program of the contender in this process. It stands for a process of its own. */
  start(skew) {
    return this.contender.start(this.environment(skew));
  }

  /** Starts a process that makes so many calls at once when it is told to. It dies at a point. */
  async fork(callers, dies) {
    const { address, service, clientId, folder, reuseInterval } = this.environment();
    const job = { name: this.contender.name, environment: { address, service, clientId, folder, reuseInterval }, skew: this.#world.clock.skew, callers, dies };
    const child = fork(new URL('child.mjs', import.meta.url), [JSON.stringify(job)]);
    this.#children.push(child);
    await once(child, 'message');
    return child;
  }

  /** Lets a process make its calls. It returns which succeeded, or nothing if the process was killed. */
  async go(child) {
    let results;
    child.once('message', ({ results: got, printed }) => {
      results = got;
      this.printed.push(...printed);
    });
    child.send('go');
    const [code, signal] = await once(child, 'exit');
    if (signal !== 'SIGKILL' && code !== 0) throw new Error(`a process ended with ${code}, ${signal}`);
    return results;
  }

  /** Does what a program does every two minutes, and reports whether that succeeded. */
  async job(program) {
    try {
      return await program();
    } catch (error) {
      if (keyed.includes(this.contender)) this.print(error);
      return false;
    }
  }

  /** Prints an error, in which close looks for tokens. */
  print(error) {
    this.printed.push(String(error), inspect(error, { depth: 5, showHidden: true }), JSON.stringify(error));
  }

  /** Ends all faults. */
  mend() {
    this.onLoad = this.onSave = undefined;
    this.proxy.fault = () => undefined;
    this.proxy.beforeAnswer = undefined;
  }

  now() {
    return system.now().wall + this.#world.clock.skew;
  }

  /** Moves all clocks while the programs stand still. */
  async freeze(ms) {
    await this.#world.advance(ms / 1000);
  }

  /** Moves the clocks of the service and of all programs. */
  async advance(ms) {
    if (ms > 0) await this.#world.advance(Math.ceil(ms) / 1000);
    for (const timer of this.#timers) {
      if (timer.due > this.now()) continue;
      this.#timers.delete(timer);
      await timer.run();
    }
  }

  /** Does something at the end of so many milliseconds. */
  later(ms, run) {
    this.#timers.add({ due: this.now() + ms, run });
  }

  /** Returns a function that does something in the next so many milliseconds, and then nothing. */
  during(ms, act) {
    const end = this.now() + ms;
    return (...args) => (this.now() < end ? act(...args) : undefined);
  }

  /** Returns a clock of a program. Pauses move the time. A timeout, which has a signal, ends when others have moved it. */
  clock(skew = 0) {
    return {
      now: () => {
        const { wall, steady } = system.now();
        const ahead = this.#world.clock.skew;
        return { wall: wall + ahead + skew, steady: steady + ahead };
      },
      sleep: async (ms, signal) => {
        if (!signal) return this.advance(ms);
        const over = new AbortController();
        const timer = { due: this.now() + ms, run: () => over.abort() };
        this.#timers.add(timer);
        await system.sleep(ms, AbortSignal.any([signal, over.signal]));
        this.#timers.delete(timer);
      },
      random: () => 0.5,
    };
  }

  /** Logs the user in again, by another process, and ends the session before. */
  async signInAgain() {
    const { refresh_token } = await this.#world.login(this.clientId, this.user);
    await this.contender.login(this.environment(), refresh_token);
    await this.#world.management.revokeFamily(this.tokens.family);
  }

  /** Returns what the service knows of the session. */
  family() {
    return this.#world.management.family(this.tokens.family);
  }

  /** Reports whether the service accepts an access token. */
  async isActive(token) {
    const answer = await fetch(this.#world.issuer + '/oauth/introspect', {
      method: 'POST',
      headers: { Authorization: this.#credentials },
      body: new URLSearchParams({ token }),
    });
    if (!answer.ok) throw new Error(`introspection: ${answer.status}`);
    return (await answer.json()).active;
  }
}

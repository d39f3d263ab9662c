// The world of the tests: a real Rotor on loopback, a clock that can be moved, and a network that can fail.
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { after } from 'node:test';
import { Management } from '@rotor-auth/rotor/server';
import { systemClock } from '../dist/clock.js';

/** Starts a program that make test-js has built, which ends with this process, however that ends. It returns what the program prints at first. */
async function start(name, options, command, isReady) {
  const folder = process.env.ROTOR_PROGRAMS;
  if (!folder) throw new Error('ROTOR_PROGRAMS must be the folder of the programs that the tests need: run make test-js');
  const program = spawn('sh', ['-c', command, join(folder, name), ...options], {
    stdio: ['pipe', 'pipe', 'ignore'],
    env: { ...process.env, ADDR: '127.0.0.1:0' },
  });
  after(() => program.stdin.end());
  const lines = [];
  for await (const line of createInterface(program.stdout)) {
    lines.push(line);
    if (!isReady(lines)) continue;
    program.stdout.resume();
    return lines;
  }
  throw new Error(`${name} ended before it was ready: ${lines.join('\n')}`);
}

/** Starts `rotor run`. */
export async function startRotor() {
  const ready = /^Rotor is ready at (\S+)/m;
  const lines = await start('rotor', [], '"$0" run </dev/null & read -r end; kill $!; wait', (lines) => ready.test(lines.join('\n')));
  return new World(ready.exec(lines.join('\n'))[1]);
}

/** Starts lab/js, and returns the addresses of DynamoDB, of the service behind a verifier of signatures, and of a holder in Go. */
export async function startNeighbours(issuer) {
  const [dynamodb, signed, holder] = await start('js', [issuer], 'exec "$0" "$1"', (lines) => lines.length === 3);
  return { dynamodb, signed, holder };
}

class World {
  constructor(issuer) {
    this.issuer = issuer;
    this.management = new Management(issuer);
    this.clock = new TestClock();
  }

  /** Registers a client, and returns its id. */
  async client(id, settings = {}) {
    await this.management.register(id, { type: 'public', ...settings });
    return id;
  }

  /** Logs a user in, and returns the first tokens. They are bound to the key with that thumbprint, if there is one. */
  login(clientId, userId = 'alice', options = {}, jkt = undefined) {
    return this.management.startFamily({ user_id: userId, client_id: clientId, ...(jkt && { dpop_jkt: jkt }) }, options);
  }

  /** Moves the clocks of the service and of the sessions. */
  async advance(seconds) {
    const answer = await fetch(this.issuer + '/local/clock', {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify({ advance: `${seconds}s` }),
    });
    if (!answer.ok) throw new Error(await answer.text());
    this.clock.skew += seconds * 1000;
  }

  /** Returns the only family of a user. */
  async family(userId = 'alice') {
    const families = [];
    for await (const family of this.management.families({ userId })) families.push(family);
    if (families.length !== 1) throw new Error(`${userId} has ${families.length} families`);
    return this.management.family(families[0].family);
  }
}

/**
 * A clock that tests move. A pause takes no time: the clock jumps. A timeout, which has a signal, is longer than it says, so that a
 * busy machine meets none.
 */
export class TestClock {
  skew = 0;
  #system = systemClock();

  now() {
    const { wall, steady } = this.#system.now();
    return { wall: wall + this.skew, steady: steady + this.skew };
  }

  async sleep(ms, signal) {
    if (signal) return this.#system.sleep(ms * 5, signal);
    this.skew += ms;
    await new Promise((resolve) => setImmediate(resolve));
  }

  random() {
    return 0.5;
  }

  /** Returns this clock for holders that wait for each other. Its pauses take as long as they say. */
  get shared() {
    const sleep = (ms, signal) => (signal ? this.sleep(ms, signal) : this.#system.sleep(ms));
    return { now: () => this.now(), random: Math.random, sleep };
  }
}

/** The cookies of a browser, as far as the service sets any, and the page that it shows. */
export class Cookies extends Map {
  /** Does what a browser does to a request of its page. */
  fetch = async (input, init = {}) => {
    if (init.credentials !== 'include') return fetch(input, init);
    const headers = new Headers(init.headers);
    headers.set('Origin', 'http://localhost:5173');
    if (this.size > 0) headers.set('Cookie', [...this].map(([name, value]) => `${name}=${value}`).join('; '));
    const response = await fetch(input, { ...init, headers });
    for (const line of response.headers.getSetCookie()) {
      const [, name, value, attributes] = /^([^=]+)=([^;]*)(.*)$/.exec(line);
      if (/Max-Age=0\b/.test(attributes)) this.delete(name);
      else this.set(name, value);
    }
    return response;
  };
}

/** A network to the real service, which counts requests, and fails as it is told. */
export class Network {
  requests = [];
  #fetch;

  constructor(send = fetch) {
    this.#fetch = send;
  }

  /** What becomes of the next requests to /oauth: 'unsent', 'lost' (the answer is), 'cut', a status, or a function of the answer. */
  faults = [];

  fetch = async (input, init) => {
    const url = String(input.url ?? input);
    const request = { url, form: init?.body instanceof URLSearchParams ? Object.fromEntries(init.body) : {}, headers: new Headers(init?.headers ?? input.headers) };
    this.requests.push(request);
    const fault = url.includes('/oauth/') ? this.faults.shift() : undefined;
    if (fault === 'unsent') throw Object.assign(new TypeError('fetch failed'), { cause: { code: 'ECONNREFUSED' } });
    if (typeof fault === 'number') return new Response('{}', { status: fault, headers: { 'Retry-After': '3' } });
    const response = await this.#fetch(input, init);
    request.status = response.status;
    if (fault === 'lost') {
      await response.text();
      throw new TypeError('network connection lost');
    }
    if (fault === 'cut') return new Response((await response.text()).slice(0, 100), { status: response.status });
    return fault ? fault(response) : response;
  };

  /** How many refreshes were asked for. */
  get refreshes() {
    return this.requests.filter(({ form }) => form.grant_type === 'refresh_token').length;
  }
}

/** Locks as those of a browser, as far as a session uses them. */
export class Locks {
  #last = new Map();

  request(name, { signal }, work) {
    const before = this.#last.get(name) ?? Promise.resolve();
    const result = before.then(() => {
      signal.throwIfAborted();
      return work();
    });
    this.#last.set(name, result.catch(() => {}));
    return result;
  }
}

/** Keeps items as sessionStorage does. */
export class Items extends Map {
  getItem = (key) => this.get(key) ?? null;
  setItem = (key, value) => this.set(key, value);
  removeItem = (key) => this.delete(key);
}

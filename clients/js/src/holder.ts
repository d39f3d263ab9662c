import { type Answer, Failure } from './ask.js';
import { type Clock, type Moment, Queue, since, within } from './clock.js';
import { ConflictError, LoginRequiredError, NotSavedError, RefreshError } from './errors.js';
import { type Held, type State, type StoredKey, type StoredRefusal, credential, decode, encode, fingerprint, fresh, good, hold, iso, lasting, loggedOut } from './record.js';
import { type Pace, isJustReplaced, patience, poll } from './pace.js';
import type { Store, StoredRecord } from './store.js';

/** How long callers wait for a refresh while the current token is still usable, in milliseconds: enough to recover from a lost answer. */
const courtesy = 5_000;

/** How long callers wait for a look at the record while the current token is fresh. */
const lookPatience = 1_000;

/** Limits one request to the store. */
const storeTimeout = 5_000;

export interface HolderOptions {
  store: Store;
  clock: Clock;
  pace: Pace;
  /** The refresh token is in a cookie, or on its way there. */
  cookie: boolean;
  /** Identifies the client, the token endpoint and the parameters with which the token is presented. */
  self: string;
  /** The names of members of an answer that are kept. */
  extra: string[];
  /** How often the record is read while the current token is fresh. */
  lookEvery: number;
  /** Makes a key for a record that has none; none if records get no keys. */
  newKey?: (() => Promise<StoredKey>) | undefined;
  /** Makes one refresh within so many milliseconds, or throws a Failure. */
  ask(state: State, ms: number, headers?: Record<string, string>): Promise<Answer>;
  /** Runs a step. It tells the step whether no other holder of the record takes one meanwhile. */
  exclusive<T>(step: (alone: boolean) => Promise<T>): Promise<T>;
  /** Is told each record that was read. */
  onRecord?(held: Held, dead: boolean): void;
}

export interface GetOptions {
  /** An access token that a resource server has rejected. */
  rejected?: string | undefined;
  signal?: AbortSignal | undefined;
  headers?: Record<string, string> | undefined;
}

/** Asks for another step. */
class Again extends Error {
  constructor(
    readonly after: number,
    readonly reason: Error,
    /** The session depends on that step: the token is in doubt, or the new one is not saved. */
    readonly owed: boolean,
  ) {
    super(reason.message);
  }
}

const busy = () => new RefreshError('another refresh is under way, or has just failed');

/**
 * Keeps one session fresh. A step begins with the record in the store, which alone determines what to do next: any
 * process can take the next step, no matter which took the last. The steps, and their times, are those of
 * Rotor's tokensource for Go.
 */
export class Holder {
  readonly #o: HolderOptions;
  readonly #clock: Clock;
  readonly #loading = new Queue(); // so that a later read returns a later record
  readonly #refreshing = new Queue();
  readonly #flights = new Map<string, Promise<Held>>();
  #latest: Held | undefined;
  #looked: Moment | undefined; // when the record was last read, or should have been
  #looking: Promise<unknown> | undefined;
  #began: Moment | undefined; // when the refresh in progress began
  #claim = ''; // the latest
  #unsaved: { presented: string; data: string } | undefined; // a new token that is not known to be in the store
  #refused: { credential: string; refusal: StoredRefusal } | undefined;

  constructor(options: HolderOptions) {
    this.#o = options;
    this.#clock = options.clock;
  }

  /** Returns a usable access token other than the rejected one. The refresh outlives a caller that gives up. */
  async get({ rejected = '', signal, headers }: GetOptions = {}): Promise<Held> {
    signal?.throwIfAborted();
    if (this.#ready(rejected)) await this.#lookNowAndThen();
    const ready = this.#ready(rejected);
    if (ready) return ready;
    signal?.throwIfAborted(); // a signal tells only once
    let flight = this.#flights.get(rejected);
    if (!flight) {
      flight = this.#refreshing.run(() => this.#refresh(rejected, headers));
      this.#flights.set(rejected, flight);
      const landed = () => this.#flights.delete(rejected);
      flight.then(landed, landed);
    }
    const over = new AbortController();
    const waits: Promise<Held>[] = [flight];
    const held = this.#latest;
    if (held && this.#usable(held, rejected)) {
      const wait = courtesy - (this.#began ? this.#clock.now().steady - this.#began.steady : 0);
      waits.push(this.#clock.sleep(Math.max(0, wait), over.signal).then(() => held));
    }
    if (signal) waits.push(new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason), { signal: over.signal })));
    try {
      return await Promise.race(waits);
    } finally {
      over.abort();
    }
  }

  /** Reads the record, so that what another process has done is noticed. */
  async look(): Promise<Held> {
    return (await this.#load()).held;
  }

  /**
   * Saves the tokens of a login in place of whatever the store holds. It does nothing if it has saved the same before.
   *
   * @param isFirst Only if the store holds nothing.
   */
  async login(answer: Partial<Answer>, isFirst = false): Promise<void> {
    const sid = answer.refresh_token ? '' : (answer.sid ?? '');
    const presented = answer.refresh_token || sid;
    if (!presented) throw new TypeError('login: the answer has no refresh token');
    const mark = sid || (await fingerprint(presented));
    for (let n = 0; n < 8; n++) {
      const { record, held } = await this.#load();
      if (isFirst && record.version > 0) return;
      if (held.state.logins.includes(mark) || credential(held.state) === presented) return;
      const data = encode({
        ...lasting(held.state),
        logins: [mark, ...held.state.logins].slice(0, 8),
        refresh_token: answer.refresh_token ?? '',
        ...(sid && { sid }),
        ...this.#accessToken(answer),
        obtained_at: iso(this.#clock.now().wall),
      });
      const saved = await this.#save(record.version + 1, data).catch((error: Error) => error);
      const after = await this.#load();
      if (after.record.data === data) return;
      if (saved && !(saved instanceof ConflictError)) throw new NotSavedError(saved.message);
      await this.#clock.sleep(poll(n));
    }
    throw new NotSavedError('others save all the time');
  }

  /**
   * Ends the session here at once, also in the middle of a refresh, and then has it revoked. If that fails, the session stays
   * logged out, and calling this again tries again.
   */
  async logout(revoke: (state: State) => Promise<void>): Promise<void> {
    const marked = await this.#replace(({ access_token: _, ...state }) => ({ ...state, refusal: { by: this.#o.self, status: 0, code: loggedOut } }));
    if (!marked) return;
    await revoke(marked);
    const over = credential(marked);
    await this.#replace((state) => (credential(state) === over ? { ...lasting(state), refresh_token: '', obtained_at: state.obtained_at } : undefined));
  }

  /** Returns the state with its key, which is saved before anything is signed with it. */
  async keyed(): Promise<State> {
    for (let n = 0; ; n++) {
      const { record, held } = await this.#load();
      const { state } = held;
      if (state.dpop_key || !this.#o.newKey) return state;
      if (n === 8) throw new NotSavedError('others save all the time');
      const failed = await this.#save(record.version + 1, encode({ ...state, dpop_key: await this.#o.newKey() })).catch((error: Error) => error);
      if (failed && !(failed instanceof ConflictError) && !(await this.#load()).held.state.dpop_key) throw new NotSavedError(failed.message);
    }
  }

  /** Saves what becomes of the state, and returns it; undefined if nobody is logged in. */
  async #replace(change: (state: State) => Omit<State, 'format'> | undefined): Promise<State | undefined> {
    for (let n = 0; ; n++) {
      const { record, held } = await this.#load();
      const { attempt: _, ...state } = held.state;
      const changed = credential(state) ? change(state) : undefined;
      if (!changed) return undefined;
      try {
        await this.#save(record.version + 1, encode(changed));
        await this.#load();
        return state;
      } catch (error) {
        if (!(error instanceof ConflictError) || n === 8) throw new NotSavedError((error as Error).message);
      }
      await this.#clock.sleep(poll(n));
    }
  }

  /** Returns the current token if it is not rejected and not due to be refreshed. */
  #ready(rejected: string): Held | undefined {
    const held = this.#latest;
    return held && !held.state.refusal && held.state.access_token !== rejected && fresh(held, this.#clock.now()) ? held : undefined;
  }

  /** Reports whether the token may still be given to a caller. */
  #usable(held: Held, rejected: string): boolean {
    return !held.state.refusal && held.state.access_token !== rejected && good(held, this.#clock.now());
  }

  /** Reads the record again if that was last done a while ago. If the store fails or hangs, the current token stays in use. */
  async #lookNowAndThen(): Promise<void> {
    if (!this.#looked || since(this.#clock.now(), this.#looked) < this.#o.lookEvery) return;
    this.#looking ??= this.#load().catch(() => {}).finally(() => (this.#looking = undefined));
    const over = new AbortController();
    const late = this.#clock.sleep(lookPatience, over.signal).then(() => {
      if (!over.signal.aborted) this.#looked = this.#clock.now(); // the next callers do not wait for it
    });
    await Promise.race([this.#looking, late]);
    over.abort();
  }

  #load(): Promise<{ record: StoredRecord; held: Held }> {
    return this.#loading.run(async () => {
      const began = this.#clock.now();
      try {
        const record = await within(this.#clock, storeTimeout, 'reading the store', (signal) => this.#o.store.load(signal));
        const held = hold(this.#ours(decode(record)), record.version, this.#latest, this.#clock.now(), this.#clock.random());
        this.#latest = held;
        this.#o.onRecord?.(held, this.#isDead(held));
        return { record, held };
      } finally {
        this.#looked = began;
      }
    });
  }

  /** Returns the state as it is here: a session in a cookie is none for a page that keeps its tokens itself now. */
  #ours(state: State): State {
    return state.sid && !this.#o.cookie ? { ...lasting(state), format: state.format, refresh_token: '', obtained_at: state.obtained_at } : state;
  }

  #save(version: number, data: string): Promise<void> {
    return within(this.#clock, storeTimeout, 'saving to the store', (signal) => this.#o.store.save({ version, data }, signal));
  }

  /** Takes one step after another until there is an access token, a final error, or no time left. */
  async #refresh(rejected: string, headers?: Record<string, string>): Promise<Held> {
    const began = this.#clock.now();
    this.#began = began;
    let reason: Error | undefined;
    let owed = false;
    try {
      for (let n = 0; ; n++) {
        let error: unknown;
        try {
          return await this.#o.exclusive((alone) => this.#step(rejected, n, alone, headers));
        } catch (thrown) {
          error = thrown;
        }
        let more = error instanceof Again;
        if (error instanceof Again) {
          owed ||= error.owed;
          if (!reason || error.owed || error.reason.message !== busy().message) reason = error.reason;
          more = this.#clock.now().steady + error.after <= began.steady + patience;
        } else {
          reason = error as Error;
        }
        const held = this.#latest;
        if (held && (!owed || !more) && this.#usable(held, rejected) && !this.#isDead(held)) return held;
        if (!more) throw reason;
        await this.#clock.sleep((error as Again).after);
      }
    } finally {
      this.#began = undefined;
    }
  }

  /** Takes one step. n is how many were taken before. */
  async #step(rejected: string, n: number, alone: boolean, headers?: Record<string, string>): Promise<Held> {
    let record: StoredRecord, held: Held;
    try {
      ({ record, held } = await this.#load());
      if (this.#unsaved) ({ record, held } = await this.#settle(record, held));
    } catch (error) {
      throw new Again(this.#o.pace.pause(n + 1), error as Error, this.#unsaved !== undefined);
    }
    const { pace } = this.#o;
    const now = this.#clock.now();
    if (!credential(held.state)) throw new LoginRequiredError('nobody is logged in');
    if (this.#isDead(held)) return this.#bury(record, held);
    if (held.state.access_token !== rejected ? fresh(held, now) : isJustReplaced(held, now)) return held;
    const wait = pace.wait(held, now, (claim) => alone || claim === this.#claim); // alone, whoever claimed it is gone
    if (wait > 0) throw new Again(Math.min(wait, poll(n)), busy(), false);
    if (pace.isTooLate(held, now) && this.#usable(held, rejected)) return held;
    return this.#attempt(record, held, rejected, alone, headers);
  }

  /** Uses the refresh token once. It claims the token before, and saves the result. */
  async #attempt(record: StoredRecord, held: Held, rejected: string, alone: boolean, headers?: Record<string, string>): Promise<Held> {
    const { pace } = this.#o;
    const start = this.#clock.now();
    const before = held.state.attempt;
    const count = (before?.count ?? 0) + 1;
    const claim = Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16)).join('');
    const doubt_since = before?.doubt_since ?? iso(start.wall);
    const dpop_key = held.state.dpop_key ?? (await this.#o.newKey?.());
    const claimed: State = { ...held.state, ...(dpop_key && { dpop_key }), attempt: { claim, at: iso(start.wall), pause: Math.round(pace.limit * 1.5e6), count, doubt_since } };
    this.#claim = claim;
    try {
      await this.#save(record.version + 1, encode(claimed));
    } catch (error) {
      if (error instanceof ConflictError) throw new Again(poll(0), busy(), false);
      throw new Again(pace.pause(count), error as Error, false);
    }
    const asked = this.#clock.now();
    const left = pace.limit - since(asked, start);
    // By the time of an answer the claim could be another process's.
    if (left < pace.limit / 2) throw new Again(pace.pause(1), new RefreshError('claiming the token took too long'), false);

    let answer: Answer;
    try {
      answer = await this.#o.ask(claimed, left, headers);
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      const { refusal } = error;
      if (!refusal) return this.#failed(error, record.version + 2, held, claimed);
      this.#refused = { credential: credential(held.state), refusal: { by: this.#o.self, ...refusal } };
      return this.#step(rejected, 0, alone, headers); // which uses a newer token if the store has one
    }
    const { state } = held;
    const granted = encode({
      ...lasting(claimed),
      refresh_token: answer.refresh_token ?? (answer.sid ? '' : state.refresh_token), // the old one if the answer has none
      ...((answer.sid || state.sid) && !answer.refresh_token && { sid: answer.sid ?? state.sid! }),
      ...this.#accessToken(answer),
      obtained_at: iso(asked.wall), // since the answer may have taken long
      ...(rejected && state.access_token === rejected && { after_rejection: true }),
    });
    this.#unsaved = { presented: credential(state), data: granted };
    let after: { record: StoredRecord; held: Held };
    try {
      after = await this.#settle({ version: record.version + 1, data: '' }, held);
    } catch (error) {
      throw new Again(pace.pause(1), error as Error, true);
    }
    if (after.record.data !== granted) throw new Again(poll(0), busy(), false);
    return after.held;
  }

  /** Notes that a request was not granted, and decides what comes next. */
  async #failed(failure: Failure, version: number, held: Held, claimed: State): Promise<never> {
    const { count, doubt_since: ours } = claimed.attempt!;
    const pause = this.#o.pace.pause(count, failure.retryAfter);
    const doubt_since = failure.doubt ? ours : held.state.attempt?.doubt_since;
    const attempt = { at: iso(this.#clock.now().wall), pause: Math.round(pause * 1e6), count, ...(doubt_since && { doubt_since }) };
    await this.#save(version, encode({ ...claimed, attempt })).catch(() => {}); // otherwise the claim lapses by itself
    if (failure.final) throw failure.error();
    throw new Again(pause, failure.error(), failure.doubt);
  }

  /** Returns the part of a state that is the access token. */
  #accessToken(answer: Partial<Answer>) {
    const expires = Math.floor(Number(answer.expires_in));
    const extra = this.#o.extra.filter((name) => answer[name] !== undefined).map((name) => [name, answer[name]] as const);
    if (!answer.access_token) return {};
    return {
      access_token: answer.access_token,
      token_type: answer.token_type ?? 'Bearer',
      ...(expires > 0 && { expires_in: expires }),
      ...(extra.length > 0 && { extra: Object.fromEntries(extra) }),
    };
  }

  /**
   * Saves the unsaved token over the record, if that still holds the token which it was given for, and reads it
   * back. Afterwards the store has either the unsaved token or what another process has saved.
   */
  async #settle(record: StoredRecord, held: Held): Promise<{ record: StoredRecord; held: Held }> {
    const { presented, data } = this.#unsaved!;
    const isOpen = () => credential(held.state) === presented && held.state.refusal?.code !== loggedOut && record.data !== data;
    if (isOpen()) {
      const failed = await this.#save(record.version + 1, data).catch((error: Error) => error);
      try {
        ({ record, held } = await this.#load());
      } catch (error) {
        throw new NotSavedError((error as Error).message);
      }
      if (isOpen()) throw new NotSavedError(failed?.message ?? 'the store returns another record than was saved');
    }
    this.#unsaved = undefined;
    return { record, held };
  }

  /** Returns the refusal in a state if it counts here: the user has logged out, or the provider has refused the token to this client. */
  #refusalIn({ refusal }: State): StoredRefusal | undefined {
    return refusal?.code === loggedOut || refusal?.by === this.#o.self ? refusal : undefined;
  }

  /** Reports whether the token must not be used any more. */
  #isDead(held: Held): boolean {
    return this.#refusalIn(held.state) !== undefined || (this.#refused !== undefined && this.#refused.credential === credential(held.state));
  }

  /** Marks a dead token in the store, for all processes, and throws. The token stays there, so that one can ask why it died. */
  async #bury(record: StoredRecord, held: Held): Promise<never> {
    let refusal = this.#refusalIn(held.state);
    if (!refusal) {
      refusal = this.#refused!.refusal;
      const { attempt: _, ...state } = held.state;
      const failed = await this.#save(record.version + 1, encode({ ...state, refusal })).catch((error: Error) => error);
      if (failed instanceof ConflictError) throw new Again(poll(0), busy(), false); // somebody may have logged in
      await this.#load().catch(() => {}); // so that all callers in this process see it
    }
    if (refusal.code === loggedOut) throw new LoginRequiredError('the user has logged out');
    const { by: _, ...told } = refusal;
    throw new LoginRequiredError(`the provider has refused the refresh token: ${told.code}${told.description ? ` (${told.description})` : ''}`, told);
  }
}

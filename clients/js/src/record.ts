import { since, type Moment } from './clock.js';
import type { StoredRecord } from './store.js';

/**
 * The data of a record, as JSON. It is the format of Rotor's tokensource for Go, so that programs in both
 * languages can share a session. Its times are by the wall clock of the process that wrote them.
 */
export interface State {
  format: number;
  /** Hashes of the tokens of logins, the newest first; with a cookie, the sid. */
  logins: string[];
  /** The refresh token, or '' if it is in a cookie. */
  refresh_token: string;
  /** The session whose cookie has the refresh token. */
  sid?: string;
  access_token?: string;
  token_type?: string;
  /** In seconds from obtained_at; none if it has no known end. */
  expires_in?: number;
  obtained_at: string;
  extra?: Record<string, unknown>;
  /** Is set if the access token was obtained because a resource server rejected the one before. */
  after_rejection?: boolean;
  /** The use of the refresh token that is in progress, or the last one, which failed. */
  attempt?: Attempt;
  /** The refresh token is dead. */
  refusal?: StoredRefusal;
  /** Signs the proofs of DPoP. It outlives logins and logouts, so that none that is under way can lose it. */
  dpop_key?: StoredKey;
}

/** A private key of P-256 (RFC 7518 section 6.2). */
export interface StoredKey {
  kty: string;
  crv: string;
  x: string;
  y: string;
  d: string;
}

export interface Attempt {
  /** Who makes it; none when it is over. */
  claim?: string;
  at: string;
  /** How long nobody else uses the token, in nanoseconds, as Go counts. */
  pause: number;
  count: number;
  /** When the token was first used without an answer that says what became of it. */
  doubt_since?: string;
}

export interface StoredRefusal {
  by: string;
  status: number;
  code: string;
  description?: string;
}

/** The code of a refusal that is a logout here, and not the provider's. */
export const loggedOut = 'logged_out';

const format = 1;
/** The format of a record with a key. A program of before, which would drop the key with its next save, refuses it. */
const formatWithKey = 2;

export function encode(state: Omit<State, 'format'>): string {
  return JSON.stringify({ ...state, format: state.dpop_key ? formatWithKey : format });
}

/** Returns what a record keeps whatever becomes of its session. */
export const lasting = ({ logins, dpop_key }: State) => ({ logins, ...(dpop_key && { dpop_key }) });

export function decode(record: StoredRecord): State {
  if (record.version === 0) return { format, logins: [], refresh_token: '', obtained_at: iso(0) };
  let state: State;
  try {
    state = JSON.parse(record.data) as State;
  } catch {
    throw new Error(`record ${record.version} is no token record`); // the cause may quote the data
  }
  if (state?.format !== format && state?.format !== formatWithKey) throw new Error(`record ${record.version} has another format than ${format} or ${formatWithKey}`);
  return { ...state, logins: state.logins ?? [], refresh_token: state.refresh_token ?? '' };
}

/** Returns what is presented to the provider: the refresh token, or the sid of a cookie; '' if nobody is logged in. */
export const credential = (state: State): string => state.refresh_token || state.sid || '';

export const iso = (wall: number): string => new Date(wall).toISOString();

/** Returns a hash that tells tokens apart without disclosing them. */
export async function fingerprint(text: string): Promise<string> {
  const sum = await crypto.subtle.digest('SHA-256', new TextEncoder().encode(text));
  return Array.from(new Uint8Array(sum), (byte) => byte.toString(16).padStart(2, '0')).join('');
}

/**
 * A record as this process sees it. The age of an access token that somebody else has saved is the difference of
 * two wall clocks. From then on it is counted here. A wrong clock costs at most one more refresh.
 */
export interface Held {
  state: State;
  version: number;
  /** When this process first saw this version. */
  found: Moment;
  /** When it first saw the access token, and how old that was, in milliseconds. */
  first: Moment;
  age: number;
  jitter: number;
}

export function hold(state: State, version: number, earlier: Held | undefined, now: Moment, jitter: number): Held {
  const age = Math.max(0, now.wall - Date.parse(state.obtained_at));
  const held = { state, version, found: now, first: now, age, jitter };
  if (earlier?.version === version) held.found = earlier.found;
  if (earlier && earlier.state.access_token === state.access_token && earlier.state.obtained_at === state.obtained_at) {
    held.first = earlier.first;
    held.age = earlier.age;
    held.jitter = earlier.jitter;
  }
  return held;
}

// How long before its end an access token is refreshed, so that the refresh may still fail, and how long before
// its end it is no longer used; an eighth of the lifetime if that is less.
const early = 30_000; // and up to as much again, at random, so that processes do not all begin at once
const tooLate = 10_000;

/** Returns how long the access token lives from now, or Infinity if it has no known end. */
export function remaining(held: Held, now: Moment): number {
  const { expires_in } = held.state;
  return expires_in ? expires_in * 1000 - held.age - since(now, held.first) : Infinity;
}

const margin = (held: Held, ms: number) => Math.min(ms, ((held.state.expires_in ?? 0) * 1000) / 8);

/** Reports whether the access token can be used and is not due to be refreshed. */
export function fresh(held: Held, now: Moment): boolean {
  return Boolean(held.state.access_token) && remaining(held, now) > margin(held, early) * (1 + held.jitter);
}

/** Reports whether the access token can be used. */
export function good(held: Held, now: Moment): boolean {
  return Boolean(held.state.access_token) && remaining(held, now) > margin(held, tooLate);
}

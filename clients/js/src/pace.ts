import { type Clock, type Moment, since } from './clock.js';
import type { Held } from './record.js';

/** How long a refresh keeps trying, in milliseconds, as all times here. */
export const patience = 60_000;

/** Returns how long to wait before looking for the n-th time at what others have done. */
export const poll = (n: number): number => Math.min(50 * 2 ** Math.min(n, 10), 1_000);

/** Says when a refresh token may be used, by the provider's reuse interval and what is known of its last use. */
export class Pace {
  readonly #clock: Clock;
  readonly #interval: number;
  /** How long a request may take, from which all other times derive. */
  readonly limit: number;

  /**
   * @param interval How long the provider accepts a token that it has replaced.
   * @param limit How long a request may take, if it is not the default.
   */
  constructor(clock: Clock, interval: number, limit?: number) {
    this.#clock = clock;
    this.#interval = interval;
    this.limit = limit ?? (interval === 0 ? 20_000 /* there is no second chance to get the answer */ : Math.max(1_000, Math.min(10_000, interval / 4)));
  }

  /** Returns how long to wait after the count-th failure in a row, if the server asked for so long. */
  pause(count: number, asked = 0): number {
    const longest = Math.min(250 * 2 ** Math.min(Math.max(count - 1, 0), 10), this.limit);
    return Math.max(((1 + this.#clock.random()) / 2) * longest, Math.min(asked, this.limit));
  }

  /**
   * Returns how long the token must not be used yet because of its last use. It goes by the steady clock, and by the wall clock too,
   * because a process may not live long enough to wait by the former. With a strict provider, which would end the
   * session, the wall clock is only believed once it says that hours have passed.
   *
   * @param isOurs Says whether the claim may be taken over.
   */
  wait(held: Held, now: Moment, isOurs: (claim: string) => boolean): number {
    const { attempt } = held.state;
    if (!attempt || (attempt.claim && isOurs(attempt.claim))) return 0;
    let waited = now.wall - Date.parse(attempt.at);
    if (attempt.claim && this.#interval === 0) waited -= 2 * 3_600_000;
    return Math.min(attempt.pause / 1e6, patience / 2) - Math.max(waited, now.steady - held.found.steady);
  }

  /** Reports whether the token is in doubt, and using it again now could be taken for reuse. */
  isTooLate(held: Held, now: Moment): boolean {
    const doubt = held.state.attempt?.doubt_since;
    return doubt !== undefined && Math.max(0, now.wall - Date.parse(doubt)) > this.#interval - this.limit;
  }
}

/**
 * Reports whether an access token that a resource server rejects was itself obtained a short time ago because of a rejection.
 * The cause then is something else, and another refresh would not help.
 */
export function isJustReplaced(held: Held, now: Moment): boolean {
  const age = held.age + since(now, held.first);
  return Boolean(held.state.after_rejection) && age < 5 * 60_000 && Date.parse(held.state.obtained_at) <= now.wall;
}

/** A moment in milliseconds, by two clocks, because neither is reliable alone: the wall clock may be wrong or be set, and the steady clock may stop while a machine sleeps. */
export interface Moment {
  wall: number;
  steady: number;
}

/** A session's view of time. Tests give their own. */
export interface Clock {
  now(): Moment;
  /** Resolves after so many milliseconds, or as soon as the signal is aborted. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
  /** Returns a number from 0 to 1. */
  random(): number;
}

/** Returns how long ago the moment was, by the clock that has moved further. */
export function since(now: Moment, then: Moment): number {
  return Math.max(now.wall - then.wall, now.steady - then.steady);
}

/** Returns the clock of the machine. */
export function systemClock(): Clock {
  return {
    now: () => ({ wall: Date.now(), steady: performance.now() }),
    sleep: (ms, signal) =>
      new Promise((resolve) => {
        if (signal?.aborted) return resolve();
        const done = () => {
          clearTimeout(timer);
          signal?.removeEventListener('abort', done);
          resolve();
        };
        const timer = setTimeout(done, ms);
        signal?.addEventListener('abort', done);
      }),
    random: () => Math.random(),
  };
}

/** Runs work, and rejects if it takes longer than so many milliseconds. The signal it is given is aborted then. */
export async function within<T>(clock: Clock, ms: number, what: string, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const late = new AbortController();
  const over = new AbortController();
  const timeout = clock.sleep(ms, over.signal).then(() => {
    if (over.signal.aborted) return new Promise<never>(() => {});
    const error = new Error(`${what} took longer than ${Math.round(ms)} ms`);
    late.abort(error);
    throw error;
  });
  try {
    return await Promise.race([work(late.signal), timeout]);
  } finally {
    over.abort();
  }
}

/** Runs one piece of work after another. */
export class Queue {
  #last: Promise<unknown> = Promise.resolve();

  run<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#last.then(work);
    this.#last = result.catch(() => {});
    return result;
  }
}

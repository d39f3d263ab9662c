import { ConflictError } from './errors.js';

/** What a store keeps. The data has the tokens in the clear. */
export interface StoredRecord {
  /** Counts the saves, and is 0 if nothing was saved. */
  version: number;
  data: string;
}

/**
 * Keeps the record of one session for all processes that share it. A save is a compare-and-set: it succeeds only
 * if nobody has saved since the caller loaded.
 *
 * A store that wraps another can encrypt the data, as long as it returns what it was given.
 */
export interface Store {
  /** Returns the newest record, with version 0 if there is none. It must see every save that has returned. */
  load(signal: AbortSignal): Promise<StoredRecord>;

  /**
   * Saves the record if the version of the stored one is one less. Otherwise it throws a ConflictError. After
   * any other error the record may or may not have been saved: the session reads it back to find out.
   */
  save(record: StoredRecord, signal: AbortSignal): Promise<void>;
}

/** A store in memory, for tests and for programs that log in each time they start. */
export class MemoryStore implements Store {
  #record: StoredRecord = { version: 0, data: '' };

  async load(): Promise<StoredRecord> {
    return { ...this.#record };
  }

  async save(record: StoredRecord): Promise<void> {
    if (this.#record.version + 1 !== record.version) throw new ConflictError();
    this.#record = { ...record };
  }
}

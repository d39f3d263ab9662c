import { ConflictError } from './errors.js';
import type { Store, StoredRecord } from './store.js';

/**
 * A store in IndexedDB, for the tabs of one origin. Its transactions make a save a real compare-and-set. A tab that reads
 * localStorage may still see what it held before another tab's write.
 */
export class IndexedDBStore implements Store {
  readonly #key: string;
  #opened: Promise<IDBDatabase> | undefined;

  /** @param key Names the record. */
  constructor(key: string) {
    this.#key = key;
  }

  async load(): Promise<StoredRecord> {
    return this.#transaction('readonly', (table, done) => {
      const read = table.get(this.#key);
      read.onsuccess = () => done((read.result as StoredRecord | undefined) ?? { version: 0, data: '' });
    });
  }

  async save(record: StoredRecord): Promise<void> {
    const isSaved = await this.#transaction<boolean>('readwrite', (table, done) => {
      const read = table.get(this.#key);
      read.onsuccess = () => {
        const isNext = ((read.result as StoredRecord | undefined)?.version ?? 0) + 1 === record.version;
        if (isNext) table.put({ version: record.version, data: record.data }, this.#key);
        done(isNext);
      };
    });
    if (!isSaved) throw new ConflictError();
  }

  /** Returns what is kept beside the record under a name. If there is nothing yet, it is made. */
  async beside<T>(name: string, make: () => Promise<T>): Promise<T> {
    const at = [this.#key, name];
    const read = (mode: IDBTransactionMode, otherwise?: T) =>
      this.#transaction<T | undefined>(mode, (table, done) => {
        const found = table.get(at);
        found.onsuccess = () => {
          if (otherwise && !found.result) table.put(otherwise, at);
          done((found.result as T | undefined) ?? otherwise);
        };
      });
    return (await read('readonly')) ?? (await read('readwrite', await make()))!;
  }

  /** Runs a transaction, and returns what it has given to done once it is complete. */
  async #transaction<T>(mode: IDBTransactionMode, work: (table: IDBObjectStore, done: (result: T) => void) => void): Promise<T> {
    this.#opened ??= this.#open();
    const db = await this.#opened;
    return new Promise((resolve, reject) => {
      const forget = (error: unknown) => {
        this.#opened = undefined; // the browser may have closed the database
        reject(error);
      };
      try {
        const transaction = db.transaction('sessions', mode, { durability: 'strict' });
        let result: T;
        transaction.oncomplete = () => resolve(result);
        transaction.onabort = () => forget(transaction.error);
        work(transaction.objectStore('sessions'), (value) => (result = value));
      } catch (error) {
        forget(error);
      }
    });
  }

  #open(): Promise<IDBDatabase> {
    return new Promise((resolve, reject) => {
      const request = indexedDB.open('rotor', 1);
      request.onupgradeneeded = () => request.result.createObjectStore('sessions');
      request.onsuccess = () => resolve(request.result);
      request.onerror = () => {
        this.#opened = undefined;
        reject(request.error);
      };
    });
  }
}

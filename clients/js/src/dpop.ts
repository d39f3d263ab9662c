import { IndexedDBStore } from './indexeddb.js';
import type { Keys, Prover } from './keys.js';
import { newPair, proverOf } from './prover.js';

/**
 * The option `dpop` of the Session of a page. Sessions that begin are bound to a key in IndexedDB, which all tabs use
 * and no script can read.
 *
 * @param name Names the key as the record of the session.
 */
export function dpop(name: string): Keys {
  const database = new IndexedDBStore(name);
  let latest: { id: string; prover: Prover } | undefined;
  return {
    prover: async () => {
      // It is read each time: the browser's user may have cleared the storage, and another tab have made a new key.
      const { id, pair } = await database.beside('dpop', async () => ({ id: crypto.randomUUID(), pair: await newPair(false) }));
      if (latest?.id !== id) latest = { id, prover: proverOf(pair) };
      return latest.prover;
    },
  };
}

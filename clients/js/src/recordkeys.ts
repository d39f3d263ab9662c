import type { Keys, Prover } from './keys.js';
import { importKey, newPair, proverOf } from './prover.js';
import type { State, StoredKey } from './record.js';

/** Keys that are in the records of their sessions. */
export class RecordKeys implements Keys {
  #known: { x: string; prover: Promise<Prover> } | undefined;

  async make(): Promise<StoredKey> {
    const { privateKey } = await newPair(true);
    const { x, y, d } = await crypto.subtle.exportKey('jwk', privateKey);
    return { kty: 'EC', crv: 'P-256', x: x!, y: y!, d: d! };
  }

  async prover({ dpop_key: key }: State): Promise<Prover | undefined> {
    if (!key) return undefined;
    if (this.#known?.x !== key.x) this.#known = { x: key.x, prover: load(key) };
    return this.#known.prover;
  }
}

/** Returns what signs with a key of a record. From here on it cannot be extracted. */
async function load({ kty, crv, x, y, d }: StoredKey): Promise<Prover> {
  try {
    const [privateKey, publicKey] = await Promise.all([importKey({ kty, crv, x, y, d }, false, 'sign'), importKey({ kty, crv, x, y }, true, 'verify')]);
    return proverOf({ privateKey, publicKey });
  } catch {
    throw new Error('the record has a DPoP key that is none of P-256'); // the cause may quote it
  }
}

import type { DPoPHandle } from 'oauth4webapi';
import type { State, StoredKey } from './record.js';

/** Shows that a session has its key (RFC 9449), with the nonces that servers have given. */
export interface Prover {
  /** Signs the requests to the token endpoint. */
  handle: DPoPHandle;
  /** Sends a request with an access token that is bound to the key, and with a proof for both. */
  send(request: Request, accessToken: string, fetch: (request: Request) => Promise<Response>): Promise<Response>;
}

/** The keys of sessions that are bound to one. */
export interface Keys {
  /** Makes a key that the record keeps; none if keys are elsewhere, or no session gets one. */
  make?: (() => Promise<StoredKey>) | undefined;
  /** Returns what signs for a session; undefined if it has no key. */
  prover(state: State): Promise<Prover | undefined>;
}

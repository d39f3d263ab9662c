import { type CryptoKey, PrivateKeyJwt } from 'oauth4webapi';
import { RecordKeys } from './recordkeys.js';
import { CommonSession, type CommonOptions } from './session.js';
import type { Store } from './store.js';

export { ConflictError, LoginRequiredError, NotSavedError, RefreshError, type Refusal } from './errors.js';
export { AccessToken, type CodeLogin, type TokenOptions, type TokenResponse } from './session.js';
export { MemoryStore, type Store, type StoredRecord } from './store.js';
export type { Clock, Moment } from './clock.js';
export { FileStore } from './file.js';
export { DynamoStore, type DynamoClient } from './dynamo.js';

export interface SessionOptions extends CommonOptions {
  /** Keeps the session for all processes that share it. */
  store: Store;
  /**
   * Binds sessions that begin to a key (RFC 9449), which the store keeps. The client's policy `dpop` must be `allowed` or
   * `required`. A record that has a key is used with it in any case.
   */
  dpop?: boolean;
  /** The secret of a confidential client. */
  clientSecret?: string;
  /**
   * The private key of a confidential client that authenticates by a key and not by a secret (private_key_jwt), with the `kid` under
   * which the provider knows its public half. The issuer must be the provider's, to the letter.
   */
  clientKey?: CryptoKey | { key: CryptoKey; kid: string };
}

/**
 * Holds the session of one user in Node, Deno or Bun. One refresh runs at a time, in this process and among all that
 * share the store.
 */
export class Session extends CommonSession {
  constructor(options: SessionOptions) {
    if (options.clientKey && options.clientSecret) throw new TypeError('clientKey and clientSecret: a client authenticates in one way');
    const keys = new RecordKeys();
    super(options, {
      store: options.store,
      clientSecret: options.clientSecret,
      auth: options.clientKey && PrivateKeyJwt(options.clientKey),
      keys: { prover: (state) => keys.prover(state), make: options.dpop ? () => keys.make() : undefined },
      cookie: false,
      lookEvery: 10_000,
      exclusive: (step) => step(false), // claims in the store keep the processes apart
    });
  }
}

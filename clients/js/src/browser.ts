import * as oauth from 'oauth4webapi';
import { systemClock } from './clock.js';
import { IndexedDBStore } from './indexeddb.js';
import type { Keys } from './keys.js';
import { type Held, loggedOut } from './record.js';
import { CommonSession, type CommonOptions } from './session.js';
import type { Store } from './store.js';
import { TabsStore } from './tabs.js';

export { ConflictError, LoginRequiredError, NotSavedError, RefreshError, type Refusal } from './errors.js';
export { AccessToken, type CodeLogin, type TokenOptions, type TokenResponse } from './session.js';
export { MemoryStore, type Store, type StoredRecord } from './store.js';
export type { Clock, Moment } from './clock.js';
export { IndexedDBStore };

export interface SessionOptions extends CommonOptions {
  /**
   * Where the refresh token is: in a cookie that no script can read, or in the store of this page. The client must be
   * registered with the transport `cookie` or `body`.
   */
  transport: 'cookie' | 'token';
  /**
   * Binds sessions that begin to a key (RFC 9449): `dpop` of @rotor-auth/rotor/dpop. Without the key, which stays in this browser, their
   * tokens are worthless. The client's policy `dpop` must be `allowed` or `required`.
   */
  dpop?: (name: string) => Keys;
  /** Tells sessions of one client apart, if the page has several; 'default' by default. */
  name?: string;
  /** Keeps what tabs share; by default IndexedDB. With the transport cookie it has no token. */
  store?: Store;
  /** The lock that tabs take; by default navigator.locks. With null, or where there are none, tabs claim the record instead. */
  locks?: Pick<LockManager, 'request'> | null;
  /** Where the user signs in; by default issuer + '/authorize', which leads to the login page. */
  authorizationEndpoint?: string;
  /** Keeps an authorization request until its answer; by default sessionStorage. */
  pending?: Pick<Storage, 'getItem' | 'setItem' | 'removeItem'>;
  /** Is told when the session changes, in this tab or in another one. */
  onChange?: (change: Change) => void;
}

/**
 * What became of the session: somebody has logged in or out, or the provider has refused the refresh token, so that a
 * login is required.
 */
export type Change = 'login' | 'logout' | 'login_required';

export interface AuthorizationRequest {
  /** Where the login sends the browser back to; by default the address of this page without query and fragment. */
  redirectUri?: string;
  scope?: string;
  /** Further parameters, such as resource, prompt or login_hint. */
  params?: Record<string, string>;
}

/** How long a tab waits for the lock before it does without, in milliseconds: longer than a request takes. */
const lockPatience = 25_000;

/** The answers that this page is taking. It may mount twice, with a session each time, and the first takes the answer out of the address. */
const answers = new Map<string, Promise<boolean>>();

/**
 * Holds the session of a page, together with all tabs of its origin. One tab refreshes at a time, and the others get
 * its access token.
 */
export class Session extends CommonSession {
  readonly #options: SessionOptions;
  readonly #key: string;
  readonly #channel: BroadcastChannel | undefined;

  constructor(options: SessionOptions) {
    const key = `${options.clientId} ${options.name ?? 'default'}`;
    const clock = options.clock ?? systemClock();
    const channel = globalThis.BroadcastChannel && new BroadcastChannel(`rotor ${key}`);
    (channel as { unref?(): void } | undefined)?.unref?.(); // Node, which renders pages, would not end because of it
    const locks = options.locks === undefined ? globalThis.navigator?.locks : options.locks;
    const origins = options.origins ?? (globalThis.location ? [location.origin] : []);
    const isCookie = options.transport === 'cookie';
    let known: string | undefined;
    super(
      { ...options, origins, clock },
      {
        cookie: isCookie,
        keys: options.dpop?.(key),
        store: new TabsStore(options.store ?? new IndexedDBStore(key), channel, !isCookie, clock, () => void this.isLoggedIn().catch(() => {})),
        lookEvery: channel ? 10_000 : 1_000, // the channel tells what other tabs do
        exclusive: async (step) => {
          if (!locks) return step(false);
          const late = new AbortController();
          const got = new AbortController();
          void clock.sleep(lockPatience, got.signal).then(() => got.signal.aborted || late.abort());
          try {
            return await locks.request(`rotor ${key}`, { signal: late.signal }, () => {
              got.abort();
              return step(true);
            });
          } catch (error) {
            if (late.signal.aborted && !got.signal.aborted) return step(false); // a tab hangs: its claim lapses
            throw error;
          }
        },
        onRecord: (held, dead) => {
          const status = describe(held, dead);
          if (known !== undefined && known !== status) queueMicrotask(() => options.onChange?.(status.split(' ')[0] as Change)); // which may throw
          known = status;
        },
      },
    );
    this.#options = options;
    this.#key = `rotor ${key} `;
    this.#channel = channel;
  }

  /** Sends the browser to the login, which sends it back to the redirect URI. */
  async authorize(request: AuthorizationRequest = {}): Promise<void> {
    location.assign(await this.authorizationUrl(request));
  }

  /** Returns the address of the login for a request that it begins. What belongs to the request stays in this tab. */
  async authorizationUrl(request: AuthorizationRequest = {}): Promise<string> {
    const { clientId, issuer, authorizationEndpoint } = this.#options;
    const redirectUri = request.redirectUri ?? location.origin + location.pathname;
    const state = oauth.generateRandomState();
    const verifier = oauth.generateRandomCodeVerifier();
    this.#pending.setItem(this.#key + state, JSON.stringify({ verifier, redirectUri }));
    const url = new URL(authorizationEndpoint ?? issuer.replace(/\/+$/, '') + '/authorize');
    const parameters = {
      ...request.params,
      ...(request.scope !== undefined && { scope: request.scope }),
      response_type: 'code',
      client_id: clientId,
      redirect_uri: redirectUri,
      state,
      code_challenge: await oauth.calculatePKCECodeChallenge(verifier),
      code_challenge_method: 'S256',
      ...(this.#options.dpop && { dpop_jkt: await this.thumbprint() }),
    };
    for (const [name, value] of Object.entries(parameters)) url.searchParams.set(name, value);
    return url.href;
  }

  /**
   * Takes the login's answer from the address of the page, and begins the session with it. It returns false if the address
   * has no answer to a request of this tab; then nothing is sent.
   */
  async handleRedirect(address: string = location.href): Promise<boolean> {
    let taking = answers.get(this.#key);
    if (!taking) {
      taking = this.#takeAnswer(address).finally(() => answers.delete(this.#key));
      answers.set(this.#key, taking);
    }
    return taking;
  }

  async #takeAnswer(address: string): Promise<boolean> {
    const { clientId, issuer } = this.#options;
    const url = new URL(address);
    const state = url.searchParams.get('state') ?? '';
    const begun = this.#pending.getItem(this.#key + state);
    if (!state || !begun) return false;
    this.#pending.removeItem(this.#key + state); // an answer is used once
    const answer = new URLSearchParams(url.search);
    for (const name of ['code', 'state', 'iss', 'error', 'error_description', 'error_uri']) url.searchParams.delete(name);
    globalThis.history?.replaceState(globalThis.history.state, '', url); // so that the code is in no history and no bookmark
    const { verifier, redirectUri } = JSON.parse(begun) as { verifier: string; redirectUri: string };
    try {
      oauth.validateAuthResponse({ issuer: issuer.replace(/\/+$/, '') }, { client_id: clientId }, answer, state);
    } catch (error) {
      const said = error instanceof oauth.AuthorizationResponseError ? `${error.error} ${error.error_description ?? ''}` : 'is not from the issuer that was asked';
      throw new Error(`the login answered: ${said.trim()}`); // without the answer, which may have a code
    }
    await this.login({ code: answer.get('code') ?? '', codeVerifier: verifier, redirectUri });
    return true;
  }

  /**
   * Begins the session of the cookie that the browser still has, although the page's storage was cleared, as Safari does when a
   * site was not used for a week. It makes a request, and returns false if there is no such cookie, or several. If the storage was
   * not cleared, it asks for nothing: after a logout nobody becomes the user before.
   */
  async restore(): Promise<boolean> {
    return this.#options.transport === 'cookie' && ((await this.isLoggedIn()) || this.restoreCookie());
  }

  /** Stops hearing other tabs. A session that lives as long as its page needs no close. */
  close(): void {
    this.#channel?.close();
  }

  get #pending() {
    return this.#options.pending ?? sessionStorage;
  }
}

/** Returns what a record says of the session: a change, and which login it is about. */
function describe({ state }: Held, dead: boolean): string {
  if (!state.refresh_token && !state.sid) return 'logout';
  if (!dead) return `login ${state.logins[0]}`;
  return state.refusal?.code === loggedOut ? 'logout' : 'login_required';
}

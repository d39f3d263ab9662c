import { checkAddress } from './address.js';
import { type Answer, type Endpoint, Failure, askForTokens, revoke } from './ask.js';
import { type Clock, systemClock } from './clock.js';
import { LoginRequiredError, RefreshError } from './errors.js';
import { Holder, type HolderOptions } from './holder.js';
import type { Keys, Prover } from './keys.js';
import { Pace } from './pace.js';
import { type Held, type State, credential, remaining } from './record.js';

export interface CommonOptions {
  /** The address of the service, such as https://auth.example.com. */
  issuer: string;
  /** The client's id. */
  clientId: string;
  /** The provider's token endpoint, if it is not Rotor's: by default issuer + '/oauth/token'. */
  tokenEndpoint?: string;
  /** The provider's revocation endpoint (RFC 7009): by default issuer + '/oauth/revoke'. */
  revocationEndpoint?: string;
  /** For how many seconds the provider accepts a token that it has replaced; 60 by default, 0 for not at all. Too long an interval loses sessions. */
  reuseInterval?: number;
  /** How many seconds a request may take: by default a quarter of the reuse interval, but from 1 to 10. It must be less than 30. */
  timeout?: number;
  /** The origins to which `fetch` sends the access token, such as https://api.example.com. */
  origins?: string[];
  /** Parameters of each refresh, such as resource, audience or a narrower scope. They must not be secret. */
  params?: Record<string, string | string[]>;
  /** Further members of the token response that are kept with the access token, such as scope or id_token. */
  extra?: string[];
  /** Makes all requests; by default the global fetch. It must not repeat any. */
  fetch?: typeof fetch;
  clock?: Clock;
}

/** An answer of a token endpoint or of POST /v1/families as it is, or its refresh token alone. */
export interface TokenResponse {
  refresh_token: string;
  access_token?: string;
  token_type?: string;
  expires_in?: number;
  [member: string]: unknown;
}

/** The code that a login has answered with. */
export interface CodeLogin {
  code: string;
  codeVerifier: string;
  /** The redirect URI of the authorization request; none for a login that does not redirect. */
  redirectUri?: string;
}

export interface TokenOptions {
  /** Stops waiting. The refresh goes on, because its result must be saved. */
  signal?: AbortSignal;
  /** Headers for the token endpoint, if this call is the one that refreshes. */
  headers?: Record<string, string>;
}

/** An access token. It prints without its value. */
export class AccessToken {
  readonly #value: string;
  readonly tokenType: string;
  /** When it ends, in milliseconds as of Date.now(); undefined if it has no known end. */
  readonly expiresAt: number | undefined;
  /** Members of the token response that the option `extra` names. */
  readonly #extra: Record<string, unknown>;

  constructor(held: Held, clock: Clock) {
    const now = clock.now();
    const left = remaining(held, now);
    this.#value = held.state.access_token!;
    this.#extra = held.state.extra ?? {};
    const type = held.state.token_type!;
    this.tokenType = ['Bearer', 'DPoP'].find((name) => name.toLowerCase() === type?.toLowerCase()) ?? type;
    this.expiresAt = left === Infinity ? undefined : now.wall + left;
  }

  get accessToken(): string {
    return this.#value;
  }

  get extra(): Record<string, unknown> {
    return this.#extra;
  }

  /** The value for the header Authorization. A token of the type DPoP needs a proof as well, which `fetch` of the session makes. */
  get authorization(): string {
    return `${this.tokenType} ${this.#value}`;
  }

  toString(): string {
    return '[access token]';
  }
}

export type Internals = Pick<HolderOptions, 'store' | 'cookie' | 'exclusive' | 'lookEvery' | 'onRecord'> & Pick<Endpoint, 'clientSecret' | 'auth'> & {
  keys?: Keys | undefined;
};

/** What the parameters of a refresh are not: those of the refresh itself, and those by which a client authenticates. */
const ownParams = ['grant_type', 'refresh_token', 'sid', 'client_id', 'client_secret', 'client_assertion', 'client_assertion_type', ''];

/** What the sessions of browsers and of Node have in common. */
export class CommonSession {
  readonly #endpoint: Endpoint;
  readonly #origins: string[];
  readonly #holder: Holder;
  readonly #keys: Keys | undefined;

  constructor(options: CommonOptions, internals: Internals) {
    const issuer = options.issuer.replace(/\/+$/, '');
    const clock = options.clock ?? systemClock();
    const endpoint: Endpoint = (this.#endpoint = {
      issuer: options.tokenEndpoint ? options.issuer : issuer,
      tokenEndpoint: checkAddress(options.tokenEndpoint ?? issuer + '/oauth/token'),
      revocationEndpoint: checkAddress(options.revocationEndpoint ?? issuer + '/oauth/revoke'),
      clientId: options.clientId,
      clientSecret: internals.clientSecret,
      auth: internals.auth,
      cookie: internals.cookie,
      fetch: options.fetch ?? ((input, init) => fetch(input, init)),
      clock,
    });
    this.#origins = (options.origins ?? []).map(originOf);
    const params = new URLSearchParams(Object.entries(options.params ?? {}).flatMap(([name, values]) => [values].flat().map((value) => [name, value])));
    for (const name of ownParams) if (params.has(name)) throw new TypeError(`params: the parameter "${name}" is not allowed`);
    params.sort();
    const { reuseInterval = 60 } = options;
    if (!(reuseInterval >= 0)) throw new TypeError('reuseInterval must be a number of seconds');
    const { timeout } = options;
    if (timeout !== undefined && !(timeout >= 1 && timeout < 30 && (reuseInterval === 0 || timeout <= reuseInterval / 2))) {
      throw new TypeError('timeout must be at least 1, less than 30, and at most half of reuseInterval');
    }
    const text = params.toString();
    const keys = (this.#keys = internals.keys);
    this.#holder = new Holder({
      ...internals,
      clock,
      pace: new Pace(clock, reuseInterval * 1000, timeout && timeout * 1000),
      self: `${options.clientId} at ${endpoint.tokenEndpoint}${text && ` with ${text}`}`,
      extra: options.extra ?? [],
      newKey: keys?.make,
      ask: async (state, ms, headers) => {
        const all = new URLSearchParams(params);
        const [name, value] = presented(state);
        all.set(name, value);
        return askForTokens(endpoint, 'refresh_token', all, ms, headers, await keys?.prover(state));
      },
    });
  }

  /**
   * Returns a usable access token, which it refreshes before its end. While the current one is still usable, a
   * refresh that fails is not an error.
   *
   * @throws LoginRequiredError if there is no session. After any other error, try again later.
   */
  async token(options: TokenOptions = {}): Promise<AccessToken> {
    return new AccessToken(await this.#holder.get(options), this.#endpoint.clock);
  }

  /**
   * Does what the global fetch does, with the access token if the request goes to one of the origins. When a resource
   * server answers 401, the token is refreshed and the request sent again, unless its body is a stream or that of a Request.
   */
  fetch = async (input: string | URL | Request, init?: RequestInit): Promise<Response> => {
    const request = new Request(input, init);
    if (this.#origins.length === 0) throw new TypeError('fetch: the option origins says to which origins the access token is sent; it names none');
    const { fetch } = this.#endpoint;
    if (!this.#origins.includes(new URL(request.url).origin) || request.headers.has('Authorization')) return fetch(request);
    // A request that had a body is used up now, also where, as in Firefox, it does not show its body.
    const isRepeatable = init?.body ? !(init.body instanceof ReadableStream) : !request.body && !(input instanceof Request && input.bodyUsed);
    const options = { signal: request.signal };
    const send = async (request: Request, held: Held) => {
      const token = new AccessToken(held, this.#endpoint.clock);
      const key = token.tokenType === 'DPoP' && (await this.#keys?.prover(held.state));
      if (key) return key.send(request, token.accessToken, fetch);
      request.headers.set('Authorization', token.authorization);
      return fetch(request);
    };
    const held = await this.#holder.get(options);
    let response = await send(request, held);
    // A nonce of the answer is for the next proof. The one before may have lacked it.
    if (response.status === 401 && response.headers.has('DPoP-Nonce') && isRepeatable) {
      await response.body?.cancel();
      response = await send(new Request(input, init), held);
    }
    if (response.status !== 401) return response;
    const newer = await this.#holder.get({ ...options, rejected: held.state.access_token });
    if (!isRepeatable || newer.state.access_token === held.state.access_token) return response;
    await response.body?.cancel();
    return send(new Request(input, init), newer);
  };

  /**
   * Begins a session: with a code, which it exchanges, or with tokens. It takes the place of the session before. Tokens that
   * were saved once are not saved again, so a program may call this each time it starts.
   */
  async login(login: CodeLogin | TokenResponse, options: { headers?: Record<string, string> } = {}): Promise<void> {
    if (!('code' in login)) {
      if (!this.#endpoint.cookie) return this.#holder.login(login);
      await this.#holder.login({ refresh_token: login.refresh_token });
      const { state } = await this.#holder.get(); // which moves the token into a cookie
      if (state.refresh_token) throw new Error('login: the answer has a refresh token. Is the client registered with the transport cookie?');
      return;
    }
    const { code, codeVerifier, redirectUri } = login as CodeLogin;
    const answer = await this.#exchange({ code, code_verifier: codeVerifier, ...(redirectUri && { redirect_uri: redirectUri }) }, options.headers);
    if (this.#endpoint.cookie && !answer.sid) throw new Error('login: the answer has no sid. Is the client registered with the transport cookie?');
    await this.#holder.login(answer);
  }

  /** Exchanges a code. */
  async #exchange(parameters: Record<string, string>, headers?: Record<string, string>): Promise<Answer> {
    const key = await this.#prover();
    return this.#persist(() => askForTokens(this.#endpoint, 'authorization_code', new URLSearchParams(parameters), 10_000, headers, key), 'the code');
  }

  /** Returns what signs for the session, or for one that begins now; undefined if sessions have no keys. */
  async #prover(): Promise<Prover | undefined> {
    return this.#keys && this.#keys.prover(this.#keys.make ? await this.#holder.keyed() : (await this.#holder.look()).state);
  }

  /**
   * Returns the thumbprint of the key (RFC 7638), for the member `dpop_jkt` of POST /v1/families. The key is made, and
   * saved, if there is none.
   */
  async thumbprint(): Promise<string> {
    const key = await this.#prover();
    if (!key) throw new TypeError('thumbprint: the option dpop is not set');
    return key.handle.calculateThumbprint();
  }

  /**
   * Begins the session of the only cookie that the browser has of this client, and returns false if there is none, or several. A
   * store that holds a record was not cleared: then the cookie may be that of a user before.
   */
  protected async restoreCookie(): Promise<boolean> {
    if ((await this.#holder.look()).version > 0) return false;
    const key = await this.#prover();
    try {
      await this.#holder.login(await this.#persist(() => askForTokens(this.#endpoint, 'refresh_token', new URLSearchParams(), 10_000, undefined, key), 'the cookie'), true);
      return await this.isLoggedIn();
    } catch (error) {
      if (error instanceof LoginRequiredError || (error instanceof RefreshError && error.code === 'invalid_request')) return false;
      throw error;
    }
  }

  /** Makes a request of its own. If the service is busy, or does not answer, it is made again. */
  async #persist<T>(request: () => Promise<T>, presented: string): Promise<T> {
    const { clock } = this.#endpoint;
    for (let n = 0; ; n++) {
      try {
        return await request();
      } catch (error) {
        if (!(error instanceof Failure)) throw error;
        if (error.refusal) throw new LoginRequiredError(`${presented} was refused`, error.refusal);
        if (error.final || n === 3) throw error.error();
        await clock.sleep(Math.max(250 * 2 ** n * (1 + clock.random()), Math.min(error.retryAfter, 5_000)));
      }
    }
  }

  /**
   * Ends the session here at once, and then at the provider.
   *
   * @throws RefreshError if the provider could not be told. The session stays logged out here; calling this again tells it again.
   */
  async logout(options: { headers?: Record<string, string> } = {}): Promise<void> {
    await this.#holder.logout((state) => {
      const [name, value] = presented(state);
      return this.#persist(() => revoke(this.#endpoint, name === 'sid' ? { sid: value } : { token: value }, 10_000, options.headers), 'the token');
    });
  }

  /** Reports whether somebody is logged in, as far as is known without a request to the provider. */
  async isLoggedIn(): Promise<boolean> {
    const { state } = await this.#holder.look();
    return credential(state) !== '' && !state.refusal;
  }

  toString(): string {
    return '[session]';
  }
}

/** Returns the origin of an address. */
function originOf(address: string): string {
  const { origin } = new URL(address);
  if (origin === 'null') throw new TypeError(`origins: ${JSON.stringify(address)} is no origin, such as https://api.example.com`);
  return origin;
}

/** Returns the parameter by which the state presents its refresh token. */
function presented(state: State): [name: string, value: string] {
  return state.refresh_token ? ['refresh_token', state.refresh_token] : ['sid', state.sid ?? ''];
}

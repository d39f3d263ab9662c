import { AwsV4Signer } from 'aws4fetch';
import { isLoopback } from '../address.js';
import { type Clock, systemClock, within } from '../clock.js';
import { type FieldError, ProblemError, UnreachableError } from './errors.js';

/** Credentials of AWS, as its SDK has them. */
export interface Credentials {
  accessKeyId: string;
  secretAccessKey: string;
  sessionToken?: string | undefined;
}

export interface ManagementOptions {
  /** Sign the calls: credentials, or a provider of the AWS SDK such as fromNodeProviderChain(). A local run asks for none. */
  credentials?: Credentials | (() => Promise<Credentials>);
  /** The region that the calls are signed for. */
  region?: string;
  /** Makes the calls; by default the global fetch. */
  fetch?: typeof fetch;
  clock?: Clock;
}

export interface Call {
  method: string;
  /** Below the service's address, escaped. */
  path: string;
  query?: Record<string, string | boolean | undefined>;
  headers?: Record<string, string | undefined>;
  body?: unknown;
  /** A second call would do more than the first. */
  once?: boolean;
  /** Nothing is changed. */
  readOnly?: boolean;
  /** A second call is answered 404 if the first has done its work. */
  gone?: boolean;
  /** Members that the answer must have. */
  needs?: string[];
}

const maxAttempts = 4;
const maxPause = 20_000;
/** A little longer than API Gateway waits for the service. */
const callTimeout = 35_000;
/** The longest answer is a page of 100 families of 4 KiB. */
const maxAnswer = 8 << 20;

/** Makes calls of the management API: it signs them, and repeats what can be repeated if the service is busy. */
export class Caller {
  readonly #address: string;
  readonly #options: ManagementOptions;
  readonly #clock: Clock;

  constructor(address: string, options: ManagementOptions) {
    let url: URL | undefined;
    try {
      url = new URL(address);
    } catch {}
    if (!url || !/^https?:$/.test(url.protocol) || url.username || url.password || url.search || url.hash) {
      throw new TypeError('the address must be that of the service, such as https://auth.example.com'); // it is not shown: it may have a password
    }
    if (url.protocol === 'http:' && !isLoopback(address)) throw new TypeError(`the address ${url.origin} must begin with https: only a local run is called without TLS`);
    if (url.protocol === 'https:' && options.credentials && !options.region) throw new TypeError('calls are signed for a region: give the option region');
    this.#address = url.href.replace(/\/+$/, '');
    this.#options = options;
    this.#clock = options.clock ?? systemClock();
  }

  async call<T>(call: Call): Promise<T> {
    if (call.path.endsWith('/')) throw new TypeError(`${call.method} ${call.path}: the id is empty`);
    let hasArrived = false; // an attempt that failed may have reached the service
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.#try<T>(call);
      } catch (error) {
        if (!(error instanceof ProblemError || error instanceof UnreachableError)) throw error;
        const isRefused = error instanceof ProblemError;
        if (isRefused && error.status === 404 && hasArrived && call.gone) return undefined as T;
        hasArrived ||= isRefused ? error.status >= 500 : !isLasting(error);
        error.mayBeDone = hasArrived && !call.readOnly && call.method !== 'GET';
        // What must not be done twice is repeated only if the gateway refused it for its rate, before anything was done.
        const isBusy = isRefused && (call.once ? error.status === 429 : [429, 502, 503, 504].includes(error.status));
        const isLost = !isRefused && !call.once && !isLasting(error);
        if (attempt === maxAttempts || !(isBusy || isLost)) throw error;
        await this.#clock.sleep((isRefused && Math.min(error.retryAfter, maxPause)) || 500 * 2 ** (attempt - 1) * (1 + this.#clock.random()));
      }
    }
  }

  /** Makes a call once. */
  async #try<T>(call: Call): Promise<T> {
    const query = Object.entries(call.query ?? {}).filter(([, value]) => value !== undefined && value !== '');
    const search = query.map(([name, value]) => `${name}=${encode(String(value))}`).join('&');
    const body = call.body === undefined ? undefined : JSON.stringify(call.body);
    const headers = new Headers({ Accept: 'application/json', ...(body !== undefined && { 'Content-Type': 'application/json' }) });
    for (const [name, value] of Object.entries(call.headers ?? {})) if (value) headers.set(name, value);
    const request = await this.#sign(call.method, this.#address + call.path + (search && `?${search}`), headers, body);
    let response: Response, text: string;
    try {
      [response, text] = await within(this.#clock, callTimeout, 'the call', async (signal) => {
        // The service redirects no call. A redirect would take a token to somebody else.
        const response = await (this.#options.fetch ?? fetch)(request.url, { ...request, signal, redirect: 'manual' });
        return [response, await response.text()];
      });
    } catch (error) {
      throw new UnreachableError(this.#address, error);
    }
    let members: Record<string, unknown> | undefined;
    try {
      members = JSON.parse(text) as Record<string, unknown>;
    } catch {} // whatever stands before the service may answer anything
    if (!response.ok) throw problem(call, response, Object(members));
    if (response.status === 204) return undefined as T;
    const lacking = (call.needs ?? []).find((name) => [undefined, null, ''].includes(members?.[name] as string));
    if (!members || lacking || text.length > maxAnswer) {
      throw new Error(`${call.method} ${call.path}: the answer of ${this.#address} is not that of a Rotor service${lacking ? `: it has no ${lacking}` : ''}`);
    }
    return members as T;
  }

  async #sign(method: string, url: string, headers: Headers, body?: string): Promise<{ url: string; method: string; headers: Headers; body?: string }> {
    const { credentials, region } = this.#options;
    const request = { url, method, headers, ...(body !== undefined && { body }) };
    if (!credentials || url.startsWith('http:')) return request;
    const { accessKeyId, secretAccessKey, sessionToken } = typeof credentials === 'function' ? await credentials() : credentials;
    const signer = new AwsV4Signer({ ...request, service: 'execute-api', region: region!, accessKeyId, secretAccessKey, ...(sessionToken && { sessionToken }) });
    const signed = await signer.sign();
    return { ...request, url: signed.url.href, headers: signed.headers };
  }
}

/** Returns a path with an id as its last segment. An id of dots alone would name another path. */
export function segment(path: string, id: string): string {
  return `${path}/${/^\.+$/.test(id) ? id.replaceAll('.', '%2E') : encode(id)}`;
}

/** Encodes as signatures ask for it. */
const encode = (text: string) => encodeURIComponent(text).replace(/[!'()*]/g, (c) => '%' + c.charCodeAt(0).toString(16).toUpperCase());

/** Reports whether a call failed for a reason that lasts longer than a pause: nothing listens at the address, or its name does not exist. */
function isLasting(error: UnreachableError): boolean {
  const code = String(Object(Object(error.cause).cause).code ?? Object(error.cause).code);
  return /^(ECONNREFUSED|ENOTFOUND|ConnectionRefused|ERR_TLS_.*|.*CERT.*)$/.test(code);
}

/** Returns the error in an answer. API Gateway answers {"message":"Forbidden"}. */
function problem(call: Call, response: Response, members: Record<string, unknown>): ProblemError {
  const title = String(members.title ?? response.statusText);
  const detail = String(members.detail ?? members.message ?? `the answer is not that of a Rotor service: ${title.toLowerCase()}`);
  const errors = Array.isArray(members.errors) ? (members.errors as FieldError[]) : [];
  const seconds = Number(response.headers.get('Retry-After'));
  return new ProblemError(call.method, call.path, response.status, title, detail, errors, seconds > 0 ? Math.min(seconds * 1000, maxPause) : 0);
}

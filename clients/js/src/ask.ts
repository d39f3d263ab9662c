import * as oauth from 'oauth4webapi';
import { isLoopback } from './address.js';
import { type Clock, within } from './clock.js';
import type { Prover } from './keys.js';
import { RefreshError, type Refusal } from './errors.js';

/** What a token endpoint answers to a request that it grants. */
export interface Answer {
  access_token: string;
  token_type?: string;
  expires_in?: number | string;
  refresh_token?: string;
  /** The session whose cookie has the refresh token. */
  sid?: string;
  [member: string]: unknown;
}

/** Why a request was not granted, and what that means for the next one. */
export class Failure extends Error {
  override name = 'Failure';
  /** The token is dead. */
  refusal?: Refusal;
  /** The provider may have replaced the token. */
  doubt = false;
  /** Trying again soon would fail as well. */
  final = false;
  /** How long the server asks to wait, in milliseconds. */
  retryAfter = 0;
  status = 0;
  code = '';

  /** Returns the error for the caller. */
  error(): RefreshError {
    return new RefreshError(this.message, this.status, this.code);
  }
}

/** Who presents tokens, and where. */
export interface Endpoint {
  issuer: string;
  tokenEndpoint: string;
  revocationEndpoint: string;
  clientId: string;
  /** None for a public client. */
  clientSecret?: string | undefined;
  /** How a client authenticates that has no secret. */
  auth?: oauth.ClientAuth | undefined;
  /** The refresh token is in a cookie, which requests name by its sid. */
  cookie: boolean;
  fetch: typeof fetch;
  clock: Clock;
}

/** The longest answer that is read. */
const maxAnswer = 1 << 20;

/** Makes one request to the token endpoint. It throws a Failure if the request is not granted. */
export async function askForTokens(
  e: Endpoint, grantType: string, parameters: URLSearchParams, ms: number, headers?: Record<string, string>, key?: Prover,
): Promise<Answer> {
  const { status, members } = await request(e, ms, [...parameters.values()], headers, (server, client, auth, options) =>
    oauth.genericTokenEndpointRequest(server, client, auth, grantType, parameters, key ? { ...options, DPoP: key.handle } : options),
  );
  // An id token is not validated here, as oauth4webapi would do: a clock that is wrong would cost the refresh token.
  if (typeof members.access_token === 'string' && members.access_token !== '') return members as Answer;
  throw Object.assign(new Failure(`the token endpoint's answer has no access token (status ${status})`), { doubt: true, status });
}

/** Makes one request to the revocation endpoint. The parameters name what ends: a token, or the sid of a cookie. */
export async function revoke(e: Endpoint, parameters: { token: string } | { sid: string }, ms: number, headers?: Record<string, string>): Promise<void> {
  const [[name, value]] = Object.entries(parameters) as [[string, string]];
  await request(e, ms, [value], headers, (server, client, auth, options) => {
    // oauth4webapi asks for a token; in a cookie's request the sid takes its place.
    const send = options[oauth.customFetch];
    options[oauth.customFetch] = (url, init) => {
      const body = init.body as URLSearchParams;
      body.delete('token');
      body.set(name, value);
      return send(url, init);
    };
    return oauth.revocationRequest(server, client, auth, value, options);
  });
}

type Options = oauth.TokenEndpointRequestOptions & {
  [oauth.customFetch]: (url: string, init: oauth.CustomFetchOptions<'POST', URLSearchParams>) => Promise<Response>;
};

type Send = (server: oauth.AuthorizationServer, client: oauth.Client, auth: oauth.ClientAuth, options: Options) => Promise<Response>;

/** Sends a request, and returns the answer to one that is granted. It throws a Failure otherwise. */
async function request(e: Endpoint, ms: number, secrets: string[], headers: Record<string, string> | undefined, send: Send) {
  const hidden = [...secrets, e.clientSecret ?? ''];
  const all = new Headers(headers);
  if (e.cookie) all.set('Rotor-Transport', 'cookie'); // which a form of another site cannot send
  let response: Response, members: Record<string, unknown>;
  try {
    [response, members] = await within(e.clock, ms, 'the request', async (signal) => {
      const once = async () => {
        const answer = await send(
          { issuer: e.issuer, token_endpoint: e.tokenEndpoint, revocation_endpoint: e.revocationEndpoint },
          { client_id: e.clientId, [oauth.clockSkew]: Math.round((e.clock.now().wall - Date.now()) / 1000) },
          e.clientSecret ? oauth.ClientSecretBasic(e.clientSecret) : (e.auth ?? oauth.None()),
          {
            headers: all,
            signal,
            [oauth.allowInsecureRequests]: isLoopback(e.tokenEndpoint),
            [oauth.customFetch]: (url, init) => {
              hidden.push(init.body.get('client_assertion') ?? '');
              return e.fetch(url, { ...init, cache: 'no-store', credentials: e.cookie ? 'include' : 'omit' } as RequestInit);
            },
          },
        );
        return [answer, parse(await read(answer))] as const;
      };
      const first = await once();
      // Nothing was done, and the nonce is known now (RFC 9449 section 8).
      return first[1].error === needsNonce ? once() : first;
    });
  } catch (error) {
    throw Object.assign(new Failure(scrub(`no answer from ${new URL(e.tokenEndpoint).origin}: ${describe(error)}`, hidden)), { doubt: !isUnsent(error) });
  }
  if (response.ok) return { status: response.status, members };
  throw failure(response, members, hidden, e.clock);
}

/** The error of a server that wants a nonce of its own in the proof. */
const needsNonce = 'use_dpop_nonce';

/** Returns the members of an answer. Whatever stands before the service may answer anything. */
function parse(text: string): Record<string, unknown> {
  try {
    return Object(JSON.parse(text));
  } catch {
    return {};
  }
}

/** Returns what an answer means that grants nothing. */
function failure(response: Response, members: Record<string, unknown>, hidden: string[], clock: Clock): Failure {
  const { status } = response;
  const word = (value: unknown) => (typeof value === 'string' ? scrub(value.slice(0, 1000), hidden) : '');
  const code = word(members.error);
  const description = word(members.error_description);
  const f = new Failure(`the service answered ${[status || 'with a redirect', code, description && `(${description})`].filter(Boolean).join(' ')}`);
  Object.assign(f, { status, code, retryAfter: retryAfter(response.headers, clock.now().wall) });
  if (status === 429 || code === needsNonce) return f;
  if (status >= 500 || status === 408 || code === 'temporarily_unavailable' || code === 'server_error') f.doubt = true;
  else if (code === 'invalid_grant' || code === 'bad_refresh_token' /* GitHub */ || code === 'invalid_refresh_token' /* Slack */)
    f.refusal = { status, code, ...(description && { description }) };
  else f.final = true;
  return f;
}

/** Returns the text of an answer, of which it reads no more than the longest. */
async function read(response: Response): Promise<string> {
  const reader = response.body?.getReader();
  if (!reader) return '';
  const decoder = new TextDecoder();
  let text = '';
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return text;
    text += decoder.decode(value, { stream: true });
    if (text.length > maxAnswer) {
      await reader.cancel();
      throw new Error(`the answer is longer than ${maxAnswer} bytes`);
    }
  }
}

/** Returns how long a server asks to wait, in milliseconds (RFC 9110 §10.2.3): a number of seconds, or until a date by its own clock. */
export function retryAfter(headers: Headers, now: number): number {
  const asked = headers.get('Retry-After')?.trim() ?? '';
  if (/^\d+$/.test(asked)) return Number(asked) * 1000;
  const until = Date.parse(asked);
  return until ? Math.max(0, until - (Date.parse(headers.get('Date') ?? '') || now)) : 0;
}

/** Reports whether a request failed before anything was sent. A browser does not tell. */
function isUnsent(error: unknown): boolean {
  const code = codeOf(error);
  return ['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'EHOSTUNREACH', 'ENETUNREACH', 'UND_ERR_CONNECT_TIMEOUT', 'ConnectionRefused'].includes(code);
}

const codeOf = (error: unknown): string => {
  const { code, cause } = Object(error) as { code?: unknown; cause?: unknown };
  return typeof code === 'string' ? code : cause ? codeOf(cause) : '';
};

const describe = (error: unknown) => [error instanceof Error ? error.message : String(error), codeOf(error)].filter(Boolean).join(', ');

/** Removes secrets from a text of another's. */
function scrub(text: string, secrets: string[]): string {
  for (const secret of secrets) {
    if (secret) text = text.replaceAll(secret, '[redacted]').replaceAll(encodeURIComponent(secret), '[redacted]');
  }
  return text;
}

import { type Call, Caller, type ManagementOptions, segment } from './call.js';
import { forwardedFor, type EndUser } from './forwarded.js';
import type * as api from './schema.js';

/** What a login knows besides. */
export interface LoginOptions extends EndUser {
  /** Is made up once for each sign-in. With it the call can be repeated, and starts one family; without it, a call that got no answer is not repeated. */
  idempotencyKey?: string;
}

export interface Page<T> {
  items: T[];
  /** Names the next page; undefined on the last one. */
  next: string | undefined;
}

/** Says which families are meant. */
export interface FamilyFilter {
  userId: string;
  clientId?: string;
  status?: api.Status;
}

/** Says which families of a user end. */
export interface Revocation {
  userId: string;
  clientId?: string;
  /** The family that stays. */
  except?: string;
  cause?: 'revoked_by_admin' | 'password_changed';
  /** Only counts them. */
  dryRun?: boolean;
}

/** Says which events are listed: those of a type, a user or a family. */
export interface EventFilter {
  type?: api.EventType;
  userId?: string;
  family?: string;
  from?: Date;
  to?: Date;
}

/** Says who is erased: the user with that id, or with that key, which the event of an earlier erasure has. */
export type Erasure = ({ userId: string } | { userKey: string }) & { dryRun?: boolean };

/** No more than so many answers in a row may have nothing and name a next one. */
const maxEmpty = 1000;

/**
 * Calls the management API, /v1. A call that is refused throws a ProblemError, and one that got no answer an
 * UnreachableError. If the service is busy or did not answer, a call that can be repeated is made up to four times.
 */
export class Management {
  readonly #caller: Caller;

  /** @param address The issuer, such as https://auth.example.com. */
  constructor(address: string, options: ManagementOptions = {}) {
    this.#caller = new Caller(address, options);
  }

  /** Starts a family after a login, and returns its first tokens. */
  startFamily(login: Omit<api.NewFamily, 'deliver' | 'code_challenge' | 'nonce'>, options: LoginOptions = {}): Promise<Extract<api.IssueFamilyAnswer, { access_token: string }> & { refresh_token: string }> {
    return this.#login('/v1/families', login, options, ['access_token', 'refresh_token', 'family']);
  }

  /** Starts a family after a login that does not redirect. The login hands the code to the app, which exchanges it with its code verifier. */
  startWithCode(
    login: Omit<api.NewFamily, 'deliver'> & { code_challenge: string },
    options: LoginOptions = {},
  ): Promise<Extract<api.IssueFamilyAnswer, { code: string }>> {
    return this.#login('/v1/families', { ...login, deliver: 'code' }, options, ['code', 'family']);
  }

  /**
   * Answers an authorization request. The login then sends the browser to the address in the answer. A ProblemError with the
   * status 400 is for the login to show to its user: such a request must not be redirected.
   */
  authorize(authorization: api.AuthorizeUserBody, options: LoginOptions = {}): Promise<api.AuthorizeUserAnswer> {
    return this.#login('/v1/authorize', authorization, options, ['redirect_to'], Boolean(authorization.error));
  }

  #login<T>(path: string, body: unknown, options: LoginOptions, needs: string[], isRepeatable = false): Promise<T> {
    const headers = { ...forwardedFor({ ip: options.ip, userAgent: options.userAgent }), 'Idempotency-Key': options.idempotencyKey };
    return this.#caller.call({ method: 'POST', path, body, headers, once: !options.idempotencyKey && !isRepeatable, needs });
  }

  /** Returns a family with its timeline. */
  family(id: string): Promise<api.ShowFamilyAnswer> {
    return this.#caller.call({ method: 'GET', path: segment('/v1/families', id), needs: ['family', 'status'] });
  }

  /** Yields the families of a user, newest first. */
  families(filter: FamilyFilter): AsyncGenerator<api.Family> {
    return pages((next) => this.familyPage(filter, next));
  }

  /** Returns a page of up to 100 families. */
  familyPage(filter: FamilyFilter, next?: string): Promise<Page<api.Family>> {
    return this.#page('/v1/families', { user_id: filter.userId, client_id: filter.clientId, status: filter.status, next }, 'families');
  }

  /** Changes what the tokens of a living family say from its next refresh on. */
  changeFamily(id: string, change: api.Change): Promise<api.ChangeFamilyAnswer> {
    return this.#caller.call({ method: 'PATCH', path: segment('/v1/families', id), body: change, needs: ['family', 'status'] });
  }

  /** Changes all living families of a user, or those in one client, and yields what each call has done, of up to 1,000 families. */
  changeFamilies(userId: string, change: api.Change, clientId?: string): AsyncGenerator<api.ChangeFamiliesAnswer> {
    return this.#batches(
      { method: 'PATCH', path: '/v1/families', query: { user_id: userId, client_id: clientId }, body: change, needs: ['changed'] },
      (done) => done.changed,
    );
  }

  /** Ends a family, and reports whether it was alive. */
  async revokeFamily(id: string): Promise<boolean> {
    const { revoked } = await this.#caller.call<api.RevokeFamilyAnswer>({ method: 'DELETE', path: segment('/v1/families', id), needs: ['revoked'] });
    return revoked === 1;
  }

  /**
   * Ends families, and yields what each call has done, of up to 1,000 families. After the last one no family that was issued
   * before the first call is alive.
   */
  revokeFamilies(r: Revocation): AsyncGenerator<api.RevokeFamiliesAnswer> {
    const query = { user_id: r.userId, client_id: r.clientId, except: r.except, cause: r.cause, dry_run: r.dryRun || undefined };
    return this.#batches({ method: 'DELETE', path: '/v1/families', query, readOnly: r.dryRun === true, needs: ['revoked'] }, (done) => done.revoked);
  }

  /** Deletes all that is stored of a user, and yields what each call has done. It can be repeated. */
  eraseUser(e: Erasure): AsyncGenerator<api.EraseUserAnswer> {
    const query = { user_id: 'userId' in e ? e.userId : undefined, user_key: 'userKey' in e ? e.userKey : undefined, dry_run: e.dryRun || undefined };
    return this.#batches(
      { method: 'DELETE', path: '/v1/users', query, readOnly: e.dryRun === true, needs: ['families', 'events'] },
      (done) => done.families + done.events,
    );
  }

  /** Returns what happened to a token. Asking changes nothing. */
  explain(question: api.Question): Promise<api.ExplainAnswer> {
    return this.#caller.call({ method: 'POST', path: '/v1/explain', body: question, readOnly: true, needs: ['verdict'] });
  }

  /** Yields stored events, newest first; those of the last 30 days if the filter has no times. */
  events(filter: EventFilter = {}): AsyncGenerator<api.Event> {
    return pages((next) => this.eventPage(filter, next));
  }

  /** Returns a page of up to 100 events. */
  eventPage(f: EventFilter = {}, next?: string): Promise<Page<api.Event>> {
    return this.#page('/v1/events', { type: f.type, user_id: f.userId, family: f.family, from: f.from?.toISOString(), to: f.to?.toISOString(), next }, 'events');
  }

  /** Returns a registered client. */
  registration(clientId: string): Promise<api.ShowClientAnswer> {
    return this.#caller.call({ method: 'GET', path: segment('/v1/clients', clientId), needs: ['client_id', 'type'] });
  }

  /** Yields all registered clients, by their ids. */
  registrations(): AsyncGenerator<api.Client> {
    return pages((next) => this.registrationPage(next));
  }

  /** Returns a page of up to 100 clients. */
  registrationPage(next?: string): Promise<Page<api.Client>> {
    return this.#page('/v1/clients', { next }, 'clients');
  }

  /** Registers a client, or replaces all of it but its secrets. */
  register(clientId: string, settings: api.NewClient): Promise<api.PutClientAnswer> {
    return this.#caller.call({ method: 'PUT', path: segment('/v1/clients', clientId), body: settings, needs: ['client_id', 'type'] });
  }

  /** Deletes a client. Its families are refused from then on. */
  deregister(clientId: string): Promise<void> {
    return this.#caller.call({ method: 'DELETE', path: segment('/v1/clients', clientId), gone: true });
  }

  /** Makes a secret for a confidential client, which may have two. It is shown this once. If no answer arrives, the secret may exist all the same. */
  addSecret(clientId: string): Promise<api.AddSecretAnswer> {
    return this.#caller.call({ method: 'POST', path: segment('/v1/clients', clientId) + '/secrets', once: true, needs: ['secret_id', 'client_secret'] });
  }

  /** Deletes a secret of a client. */
  removeSecret(clientId: string, secretId: string): Promise<void> {
    return this.#caller.call({ method: 'DELETE', path: segment(segment('/v1/clients', clientId) + '/secrets', secretId), gone: true });
  }

  /**
   * Starts a family in a client for each refresh token of another provider, up to 100. It returns what has become of each, in
   * their order. If one of them is wrong, the call is refused, and nothing is written. It can be repeated.
   */
  async import(clientId: string, tokens: api.NewImport[], dryRun = false): Promise<api.Imported[]> {
    const body = { client_id: clientId, tokens, ...(dryRun && { dry_run: true }) };
    const answer = await this.#caller.call<api.ImportTokensAnswer>({ method: 'POST', path: '/v1/imports', body, readOnly: dryRun, needs: ['tokens'] });
    if (answer.tokens.length !== tokens.length) throw new Error(`import: the answer is about ${answer.tokens.length} tokens, and not about ${tokens.length}`);
    return answer.tokens;
  }

  async #page<T>(path: string, query: Record<string, string | undefined>, name: string): Promise<Page<T>> {
    const answer = await this.#caller.call<Record<string, unknown>>({ method: 'GET', path, query, needs: [name] });
    return { items: answer[name] as T[], next: (answer.next as string | undefined) || undefined };
  }

  /** Repeats a call that does its work in parts, and yields what each part did. */
  async *#batches<T extends { next?: string }>(call: Call, count: (done: T) => number): AsyncGenerator<T> {
    const place = new Place();
    do {
      const done = await this.#caller.call<T>({ ...call, query: { ...call.query, next: place.next } });
      yield done;
      place.follow(done.next, count(done));
    } while (place.next);
  }
}

/** Reads one page after another, and yields what is on them. */
async function* pages<T>(read: (next?: string) => Promise<Page<T>>): AsyncGenerator<T> {
  const place = new Place();
  do {
    const { items, next } = await read(place.next);
    yield* items;
    place.follow(next, items.length);
  } while (place.next);
}

/** Goes from one answer to the next, and throws if they do not end. */
class Place {
  next: string | undefined;
  readonly #seen = new Set<string>();
  #empty = 0;

  /** Goes to the answer that next names. The one before had so many items. */
  follow(next: string | undefined, items: number): void {
    this.#empty = items > 0 ? 0 : this.#empty + 1;
    if (next && (this.#seen.has(next) || this.#empty === maxEmpty)) throw new Error('the answer is not that of a Rotor service: its pages do not end');
    this.next = next;
    if (next) this.#seen.add(next);
  }
}

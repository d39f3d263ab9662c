// The sessions of this server: which browser has which, and where its tokens are.
import { createHash, randomBytes } from 'node:crypto';
import { existsSync, mkdirSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { FileStore, Session } from '@rotor-auth/rotor/node';

// The browser has a random id and nothing else. No script can read it, no other host can set it, and no other site can have it sent.
const cookie = '__Host-session';
const attributes = { httpOnly: true, secure: true, sameSite: 'strict', path: '/' };

export class Sessions {
  #options;
  #folder;
  #open = new Map(); // those that were used last, by id

  /** @param options Those of each session: issuer, client, secret, origins. */
  constructor(options, folder) {
    this.#options = options;
    this.#folder = folder;
    mkdirSync(folder, { recursive: true, mode: 0o700 });
  }

  /** Returns the session of the browser that sent the request, or undefined. */
  find(request) {
    const id = this.#id(request);
    // A made-up id must not make a folder.
    return id && existsSync(this.#path(id)) ? this.#session(id) : undefined;
  }

  /** Begins a session with the code of a login. Its id is new, so that nobody can know it from before. */
  async begin(response, login, options) {
    const id = randomBytes(32).toString('base64url');
    await this.#session(id).login(login, options);
    response.cookie(cookie, id, { ...attributes, maxAge: 30 * 24 * 3_600_000 });
  }

  /** Forgets the session of the browser. */
  async forget(request, response) {
    const id = this.#id(request);
    response.clearCookie(cookie, attributes);
    if (!id) return;
    this.#open.delete(id);
    await rm(this.#path(id), { recursive: true, force: true });
  }

  #id(request) {
    return new RegExp(`(?:^|; )${cookie}=([\\w-]{43})(?:;|$)`).exec(request.get('Cookie') ?? '')?.[1];
  }

  /** Returns where a session is: named by a hash, so that who reads the names cannot become the user. */
  #path(id) {
    return join(this.#folder, createHash('sha256').update(id).digest('hex'));
  }

  /** Returns the session of an id. Parallel requests get the same one, which refreshes once for all of them. */
  #session(id) {
    // Several machines share a table instead: new DynamoStore(new DynamoDB({}), 'sessions', <the hash>).
    const session = this.#open.get(id) ?? new Session({ ...this.#options, store: new FileStore(this.#path(id)) });
    this.#open.delete(id);
    this.#open.set(id, session);
    if (this.#open.size > 1000) this.#open.delete(this.#open.keys().next().value); // it is on the disk
    return session;
  }
}

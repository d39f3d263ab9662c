// Which browser has which session, and where its tokens are. This is the one place of the app in which tokens are refreshed.
import { createHash, randomBytes } from 'node:crypto';
import { existsSync, mkdirSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { FileStore, Session, type CodeLogin } from '@rotor-auth/rotor/node';
import { forwardedFor } from '@rotor-auth/rotor/server';
import { settings } from './settings';

/** The browser has a random id in this cookie, and nothing else. */
export const cookie = '__Host-session';
export const attributes = { httpOnly: true, secure: true, sameSite: 'lax', path: '/' } as const;

// Next.js bundles the proxy, the pages and the route handlers apart, so each of them has a map of its own. The store keeps
// them apart, as it does with processes: whoever claims the token first refreshes, and the others get the result.
const open = new Map<string, Session>();

/** Returns the session of an id, or undefined if there is none. */
export function find(id: string | undefined): Session | undefined {
  // A made-up id must not make a folder.
  return id && /^[\w-]{43}$/.test(id) && existsSync(pathOf(id)) ? sessionOf(id) : undefined;
}

/** Begins a session with the code of a login, and returns its id, which is new: nobody can know it from before. */
export async function begin(login: CodeLogin, options: { headers: Record<string, string> }): Promise<string> {
  const id = randomBytes(32).toString('base64url');
  mkdirSync(settings().folder, { recursive: true, mode: 0o700 });
  await sessionOf(id).login(login, options);
  return id;
}

/** Forgets the session of an id. */
export async function forget(id: string): Promise<void> {
  open.delete(id);
  if (/^[\w-]{43}$/.test(id)) await rm(pathOf(id), { recursive: true, force: true });
}

/** Returns the headers that tell Rotor the address and the agent of the user. */
export function userOf(headers: Headers): Record<string, string> {
  // Without a proxy of ours there is nobody to believe: anybody can send X-Forwarded-For, and Next.js does not tell the address
  // of the connection. What is left out is unknown to Rotor, which is better than false.
  const { proxies } = settings();
  const addresses = (headers.get('x-forwarded-for') ?? '').split(',').map((address) => address.trim());
  return forwardedFor({ ip: proxies > 0 ? addresses.at(-proxies) : undefined, userAgent: headers.get('user-agent') ?? undefined });
}

/** Returns where a session is: named by a hash, so that who reads the names cannot become the user. */
function pathOf(id: string): string {
  return join(/* turbopackIgnore: true */ settings().folder, createHash('sha256').update(id).digest('hex'));
}

function sessionOf(id: string): Session {
  const { issuer, clientId, clientSecret } = settings();
  // Several machines share a table instead: new DynamoStore(new DynamoDB({}), 'sessions', <the hash>).
  const session = open.get(id) ?? new Session({ issuer, clientId, clientSecret, store: new FileStore(pathOf(id)) });
  open.delete(id);
  open.set(id, session);
  if (open.size > 1000) open.delete(open.keys().next().value!); // it is on the disk
  return session;
}

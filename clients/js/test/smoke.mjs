// Uses each entry once, in whatever runtime runs it: smoke.mjs ISSUER FOLDER
import * as page from '@rotor-auth/rotor/browser';
import { dpop } from '@rotor-auth/rotor/dpop';
import { FileStore, LoginRequiredError, MemoryStore, Session } from '@rotor-auth/rotor/node';
import { Management, forwardedFor } from '@rotor-auth/rotor/server';

const [issuer, folder] = process.argv.slice(2);
const rotor = new Management(issuer);
const check = (isRight, what) => {
  if (!isRight) throw new Error(what);
};
const user = folder.split('/').at(-1);
await rotor.register('smoke', { type: 'public', policy: { reuse_interval: 60 } });

const session = new Session({ issuer, clientId: 'smoke', store: new FileStore(folder), origins: [issuer] });
await session.login({ refresh_token: (await rotor.startFamily({ user_id: user, client_id: 'smoke' }, { ip: '192.0.2.7' })).refresh_token });
const tokens = new Set((await Promise.all([1, 2, 3].map(() => session.token()))).map((token) => token.accessToken));
check(tokens.size === 1, 'one refresh for all');
check(!`${session} ${JSON.stringify(session)}`.includes([...tokens][0]), 'no token shows');
const other = new Session({ issuer, clientId: 'smoke', store: new FileStore(folder) });
check(tokens.has((await other.token()).accessToken), 'another process has the same token');
await session.logout();
check((await other.isLoggedIn()) === false, 'and is logged out with it');
const error = await session.token().catch((thrown) => thrown);
check(error instanceof LoginRequiredError, String(error));

await rotor.register('smoke-bound', { type: 'public', policy: { dpop: 'required' } });
const bound = new Session({ issuer, clientId: 'smoke-bound', store: new FileStore(folder + '/bound'), dpop: true });
const { refresh_token } = await rotor.startFamily({ user_id: `${user}-bound`, client_id: 'smoke-bound', dpop_jkt: await bound.thumbprint() });
await bound.login({ refresh_token });
check((await bound.token()).tokenType === 'DPoP', 'a session is bound to a key');
const again = new Session({ issuer, clientId: 'smoke-bound', store: new MemoryStore(), dpop: true });
await again.login({ refresh_token });
check((await again.token().catch((thrown) => thrown)) instanceof LoginRequiredError, 'and its token needs the key');
check(typeof dpop === 'function', 'a page has one too');

const tab = new page.Session({ issuer, clientId: 'smoke', transport: 'token', store: new MemoryStore(), locks: null });
await tab.login(await rotor.startFamily({ user_id: user, client_id: 'smoke' }));
check((await tab.token()).expiresAt > Date.now(), 'the page has a token');
tab.close();

const families = [];
for await (const family of rotor.families({ userId: user })) families.push(family.status);
check(families.sort().join() === 'active,revoked', families.join());
check(forwardedFor({ ip: '::ffff:192.0.2.1' })['Rotor-Client-Ip'] === '192.0.2.1', 'addresses are plain');
console.log('works');
process.exit(0); // Deno and Bun keep connections open for a while

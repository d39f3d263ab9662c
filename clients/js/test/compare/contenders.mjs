// The contenders: three ways to write a program that holds a token. A program is a function that calls the API, and
// reports whether the API accepted the token.
import { OAuth2Client, OAuth2Fetch } from '@badgateway/oauth2-client';
import { FileStore, Session } from '@rotor-auth/rotor/node';
import { AsyncLocalStorage } from 'node:async_hooks';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import * as openid from 'openid-client';

/** A clock that programs which ask Date.now go by. */
const itsClock = new AsyncLocalStorage();
const systemNow = Date.now;
Date.now = () => {
  const clock = itsClock.getStore();
  return clock ? itsClock.exit(() => clock.now().wall) : systemNow();
};

/** The package, with a file for all processes. */
export const session = {
  name: 'Session',
  login: (e, refreshToken) => openSession(e).login({ refresh_token: refreshToken }),
  start: (e) => useAPI(e, openSession(e)),
};

/** The same with a key. */
export const bound = {
  name: 'Session with a key',
  thumbprint: (e) => openBound(e).thumbprint(),
  login: (e, refreshToken) => openBound(e).login({ refresh_token: refreshToken }),
  start: (e) => {
    const program = useAPI(e, openBound(e));
    return () => itsClock.run(e.clock, program); // which says when proofs were made
  },
};

const useAPI = (e, holder) => async () => (await holder.fetch(e.address + '/api')).ok;

export function openSession({ address, clientId, folder, reuseInterval, fetch, clock, load, save }, more = {}) {
  const file = new FileStore(folder);
  const store = { load: () => load(() => file.load()), save: (record) => save(record.data, () => file.save(record)) };
  return new Session({ issuer: address, clientId, store, origins: [address], reuseInterval, fetch, ...(clock && { clock }), ...more });
}

/** Opens a session whose proofs are for the service, although its requests go to the proxy. */
function openBound(e) {
  const fetch = (input, init) => e.fetch(typeof input === 'string' ? input.replace(e.service, e.address) : input, init);
  return openSession(e, { issuer: e.service, dpop: true, fetch });
}

/** @badgateway/oauth2-client, which holds a token and refreshes it, as its README says: it gets the stored token first, and stores each new one. */
const library = {
  name: 'OAuth2Fetch',
  login: (e, refreshToken) => write(e, { accessToken: '', expiresAt: 0, refreshToken }),
  start: async (e) => {
    const token = await read(e);
    let stored;
    const holder = new OAuth2Fetch({
      client: new OAuth2Client({ server: e.address, tokenEndpoint: '/oauth/token', clientId: e.clientId, fetch: e.fetch }),
      getNewToken: () => null, // a login
      getStoredToken: () => token,
      storeToken: (token) => {
        stored = write(e, token).catch(() => {}); // it is not waited for; a rejection would end the process
      },
    });
    return () =>
      itsClock.run(e.clock, async () => {
        try {
          return (await holder.fetch(e.address + '/api')).ok;
        } finally {
          await stored; // the next job comes later
        }
      });
  },
};

/** Reads the token, refreshes it, here by openid-client, and writes the new one. */
const naive = {
  name: 'read, refresh, write',
  login: (e, refreshToken) => write(e, { refreshToken }),
  start: (e) => {
    const server = { issuer: e.address, token_endpoint: e.address + '/oauth/token' };
    const config = new openid.Configuration(server, e.clientId, undefined, openid.None());
    openid.allowInsecureRequests(config);
    config[openid.customFetch] = e.fetch;
    return async () => {
      const { refreshToken } = await read(e);
      const tokens = await openid.refreshTokenGrant(config, refreshToken);
      await write(e, { refreshToken: tokens.refresh_token });
      return (await fetch(e.address + '/api', { headers: { Authorization: `Bearer ${tokens.access_token}` } })).ok;
    };
  },
};

const read = (e) => e.load(async () => JSON.parse(await readFile(join(e.folder, 'token.json'), 'utf8')));

function write(e, token) {
  const data = JSON.stringify(token);
  return e.save(data, async () => {
    await mkdir(e.folder, { recursive: true, mode: 0o700 });
    await writeFile(join(e.folder, 'token.json'), data, { mode: 0o600 });
  });
}

export const contenders = [session, library, naive];

/** What lives longer with a key than without one. */
export const keyed = [bound, session];

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
  start: (e) => {
    const holder = openSession(e);
    return async () => (await holder.fetch(e.address + '/api')).ok;
  },
};

export function openSession({ address, clientId, folder, reuseInterval, fetch, clock, load, save }) {
  const file = new FileStore(folder);
  const store = { load: () => load(() => file.load()), save: (record) => save(record.data, () => file.save(record)) };
  return new Session({ issuer: address, clientId, store, origins: [address], reuseInterval, fetch, ...(clock && { clock }) });
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

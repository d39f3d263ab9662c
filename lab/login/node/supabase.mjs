// An app that was one of Supabase's, with its SDK as it is. It has other addresses and another key than before, and the sessions
// that Supabase has left it.
import { AuthClient, isAuthApiError, isAuthSessionMissingError } from '@supabase/auth-js';
import { CLIENT_ID, ISSUER, later, outage, run } from './app.mjs';

const key = 'sb-old-auth-token';
const expired = [{ alg: 'HS256', typ: 'JWT' }, { sub: 'alice', exp: 1 }].map((part) => btoa(JSON.stringify(part)).replaceAll('=', '')).join('.') + '.c2ln';

/** Returns an app on a device of its own, with the session that it has kept there. */
function device(kept, autoRefreshToken = false) {
  const items = new Map(kept ? [[key, JSON.stringify(kept)]] : []);
  const storage = { getItem: (k) => items.get(k) ?? null, setItem: (k, v) => void items.set(k, v), removeItem: (k) => void items.delete(k) };
  const events = [];
  const client = new AuthClient({
    url: `${ISSUER}/auth/v1`, headers: { apikey: CLIENT_ID }, storageKey: key, storage, autoRefreshToken, persistSession: true, detectSessionInUrl: false,
  });
  client.onAuthStateChange((event) => { events.push(event); });
  return { client, events, stored: () => JSON.parse(items.get(key) ?? 'null')?.refresh_token ?? null };
}

/** Returns what an SDK's call returns, which must not be an error. */
async function good(call) {
  const { data, error } = await call;
  if (error) throw error;
  return data;
}

/** Returns the code of the error of an SDK's call. */
async function code(call) {
  const { error } = await call;
  if (isAuthSessionMissingError(error)) return 'no session';
  return isAuthApiError(error) ? error.code : `${error?.name}: ${error?.message}`;
}

/** Moves an old session in. */
async function moved(token) {
  const app = device();
  await good(app.client.setSession({ access_token: expired, refresh_token: token }));
  return app;
}

const again = (app) => app.client.refreshSession();

await run({
  async circle() {
    const app = await moved('old0aaaaaaaa');
    const { user } = await good(app.client.getUser());
    const { claims, header } = await good(app.client.getClaims());
    const seen = [app.stored()];
    for (let i = 0; i < 50; i++) {
      await later();
      await good(again(app));
      seen.push(app.stored());
    }
    await good(again(app));
    const held = app.stored();
    await later();
    await outage();
    await good(again(app)); // which has been refused with 503 twice
    await good(app.client.signOut());
    const left = app.stored();
    const thief = device();
    return {
      user: user.email, role: user.role, metadata: user.user_metadata, claims: claims.sub, algorithm: header.alg, seen, held, left,
      error: await code(thief.client.refreshSession({ refresh_token: seen[50] })), events: [...new Set(app.events)],
    };
  },
  async scopes() {
    const [a, b, c] = await Promise.all(['old1aaaaaaaa', 'old2aaaaaaaa', 'old3aaaaaaaa'].map(moved));
    const told = {};
    const refused = (token) => code(device().client.refreshSession({ refresh_token: token }));
    const kept = a.stored();
    await good(a.client.signOut({ scope: 'local' }));
    told.local = [a.stored(), await refused(kept)];
    await good(again(b));
    await good(c.client.signOut({ scope: 'others' }));
    told.others = [await code(again(b)), await refused('old4aaaaaaaa')]; // which has not moved in yet
    await good(again(c));
    const [d, e] = await Promise.all(['old5aaaaaaaa', 'old6aaaaaaaa'].map(moved)); // of another user
    await good(d.client.signOut());
    told.global = [d.stored(), await code(e.client.getUser()), e.stored(), await refused('old7aaaaaaaa')];
    await good(again(c));
    return told;
  },
  async errors() {
    const app = await moved('old7aaaaaaaa');
    const first = app.stored();
    await later();
    await good(again(app));
    await later();
    const stranger = () => device().client;
    return {
      unknown: await code(stranger().refreshSession({ refresh_token: 'old9aaaaaaaa' })),
      malformed: await code(stranger().refreshSession({ refresh_token: 'x' })),
      used: await code(stranger().refreshSession({ refresh_token: first })),
      ended: await code(again(app)),
      password: await code(stranger().signInWithPassword({ email: 'a@example.com', password: 'x' })),
      signUp: await code(stranger().signUp({ email: 'a@example.com', password: 'x' })),
      otp: await code(stranger().signInWithOtp({ email: 'a@example.com' })),
    };
  },
  async automatic() {
    const old = { access_token: expired, token_type: 'bearer', expires_in: 3600, expires_at: 1, refresh_token: 'old8aaaaaaaa', user: { id: 'alice' } };
    const app = device(old, true);
    await app.client.initialize();
    const { session } = await good(app.client.getSession());
    await app.client.stopAutoRefresh();
    const gone = device({ ...old, refresh_token: 'old9aaaaaaaa' });
    await gone.client.initialize();
    const { session: none } = (await gone.client.getSession()).data;
    return { seen: [session.refresh_token], stored: app.stored() === session.refresh_token, events: app.events, gone: [gone.stored(), none] };
  },
});

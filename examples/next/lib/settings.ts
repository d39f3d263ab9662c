/** What the environment says. It is read when the app runs, not when it is built. */
export function settings() {
  const { ISSUER = 'http://127.0.0.1:3000', CLIENT_ID = 'example-next', CLIENT_SECRET, PORT = '4003', SESSIONS = 'sessions' } = process.env;
  const origin = process.env.ORIGIN ?? `http://127.0.0.1:${PORT}`; // as browsers see this server
  if (!CLIENT_SECRET) throw new Error('CLIENT_SECRET is not set');
  // How many proxies of yours are in front of this server. Each adds an address to the end of X-Forwarded-For.
  const proxies = Number(process.env.PROXIES ?? '0');
  return { issuer: ISSUER, clientId: CLIENT_ID, clientSecret: CLIENT_SECRET, origin, folder: SESSIONS, proxies };
}

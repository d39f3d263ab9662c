import * as oauth from 'oauth4webapi';
import { cookies } from 'next/headers';
import { redirect } from 'next/navigation';
import { settings } from '../../lib/settings';

/** Leads the browser to the login. State and verifier stay in a cookie of this browser; of two logins at once, the later one counts. */
export async function GET() {
  const { issuer, clientId, origin } = settings();
  const state = oauth.generateRandomState();
  const verifier = oauth.generateRandomCodeVerifier();
  const url = new URL(issuer + '/authorize');
  url.search = new URLSearchParams({
    response_type: 'code', client_id: clientId, redirect_uri: origin + '/callback', scope: 'openid orders', state,
    code_challenge: await oauth.calculatePKCECodeChallenge(verifier), code_challenge_method: 'S256',
  }).toString();
  (await cookies()).set('__Host-login', `${state}.${verifier}`, { httpOnly: true, secure: true, sameSite: 'lax', path: '/', maxAge: 600 });
  redirect(url.href);
}

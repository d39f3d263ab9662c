import * as oauth from 'oauth4webapi';
import { cookies } from 'next/headers';
import { redirect } from 'next/navigation';
import type { NextRequest } from 'next/server';
import { attributes, begin, cookie, userOf } from '../../lib/sessions';
import { settings } from '../../lib/settings';

/** Takes the login's answer, and begins the session. */
export async function GET(request: NextRequest) {
  const { issuer, clientId, origin } = settings();
  const jar = await cookies();
  const [state, verifier] = jar.get('__Host-login')?.value.split('.') ?? [];
  jar.set('__Host-login', '', { httpOnly: true, secure: true, sameSite: 'lax', path: '/', maxAge: 0 });
  if (!state || !verifier) return new Response('This browser did not ask for a login.', { status: 400 });
  let answer: URLSearchParams;
  try {
    answer = oauth.validateAuthResponse({ issuer }, { client_id: clientId }, request.nextUrl.searchParams, state);
  } catch (error) {
    const why = error instanceof oauth.AuthorizationResponseError ? error.error : 'this is no answer to what was asked';
    return new Response(`The login failed: ${why}.`, { status: 400 });
  }
  const login = { code: answer.get('code') ?? '', codeVerifier: verifier, redirectUri: origin + '/callback' };
  const id = await begin(login, { headers: userOf(request.headers) });
  jar.set(cookie, id, { ...attributes, maxAge: 30 * 24 * 3600 });
  redirect('/');
}

import { LoginRequiredError } from '@rotor-auth/rotor/node';
import { NextResponse, type NextRequest } from 'next/server';
import { attributes, cookie, find, forget, userOf } from './lib/sessions';
import { settings } from './lib/settings';

/**
 * Refreshes before a page is rendered. This is the only place that can: a server component cannot delete the cookie of a session
 * that has ended, and cannot answer 503. The page gets the access token in a header of the request.
 */
export async function proxy(request: NextRequest) {
  const headers = new Headers(request.headers);
  headers.delete('x-access-token'); // a browser must not set it
  const pass = () => NextResponse.next({ request: { headers } });

  const id = request.cookies.get(cookie)?.value;
  if (!id) return pass();
  try {
    const token = await find(id)?.token({ headers: userOf(request.headers), signal: AbortSignal.timeout(5_000) }); // the refresh itself goes on
    if (token) headers.set('x-access-token', token.accessToken);
    return pass();
  } catch (error) {
    if (!(error instanceof LoginRequiredError)) {
      console.error(error);
      return new NextResponse('Try again.', { status: 503, headers: { 'Retry-After': '2' } }); // the session lives
    }
    await forget(id);
    const response = NextResponse.redirect(new URL('/?ended=1', settings().origin));
    response.cookies.set(cookie, '', { ...attributes, maxAge: 0 }); // delete() leaves Secure out, which __Host- needs
    return response;
  }
}

export const config = {
  matcher: [
    {
      source: '/((?!_next/|api/|login|callback|favicon.ico).*)', // pages: route handlers refresh for themselves
      // A prefetch is a guess: nobody has asked for the page yet. It gets no token, and keeps no session alive. (Next.js hides
      // these headers from the function above.)
      missing: [
        { type: 'header', key: 'next-router-prefetch' },
        { type: 'header', key: 'purpose', value: 'prefetch' },
      ],
    },
  ],
};

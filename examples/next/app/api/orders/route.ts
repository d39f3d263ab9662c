import { LoginRequiredError } from '@rotor-auth/rotor/node';
import { cookies, headers } from 'next/headers';
import { orders } from '../../../lib/orders';
import { attributes, cookie, find, forget, userOf } from '../../../lib/sessions';

/** A route handler. It may refresh, and it may set cookies. */
export async function GET() {
  const jar = await cookies();
  const id = jar.get(cookie)?.value;
  try {
    const session = find(id);
    if (!session) throw new LoginRequiredError('nobody is logged in');
    const { accessToken } = await session.token({ headers: userOf(await headers()), signal: AbortSignal.timeout(5_000) });
    return Response.json(await orders(accessToken), { headers: { 'Cache-Control': 'no-store' } });
  } catch (error) {
    if (!(error instanceof LoginRequiredError)) {
      console.error(error);
      return new Response('Try again.', { status: 503, headers: { 'Retry-After': '2' } }); // the session lives
    }
    if (id) await forget(id);
    jar.set(cookie, '', { ...attributes, maxAge: 0 });
    return new Response('Log in again.', { status: 401 });
  }
}

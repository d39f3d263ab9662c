import { headers } from 'next/headers';
import Link from 'next/link';
import { logout } from './actions';
import { Orders } from './orders-button';
import { orders } from '../lib/orders';

/** A server component. It uses the access token that the proxy has for it, and has no way to refresh. */
export default async function Page({ searchParams }: { searchParams: Promise<{ ended?: string }> }) {
  const token = (await headers()).get('x-access-token');
  if (!token) {
    return (
      <main>
        <h1>A Next.js app</h1>
        <p id="status">{(await searchParams).ended ? 'Your session has ended. Log in again.' : 'Nobody is logged in.'}</p>
        <a id="login" href="/login">Log in</a>
      </main>
    );
  }
  const { user, orders: all } = await orders(token);
  return (
    <main>
      <h1>A Next.js app</h1>
      <p id="status">{`${user} has ${all.length} orders.`}</p>
      <Orders />
      <p><Link id="about" href="/about">About</Link></p>
      <form action={logout}>
        <button id="logout">Log out</button>
      </form>
    </main>
  );
}

import { headers } from 'next/headers';
import Link from 'next/link';

/** A page that links are prefetched for. */
export default async function About() {
  const isIn = (await headers()).has('x-access-token');
  return (
    <main>
      <h1>About</h1>
      <p id="status">{isIn ? 'You are logged in.' : 'You are not logged in.'}</p>
      <Link id="home" href="/">Home</Link>
    </main>
  );
}

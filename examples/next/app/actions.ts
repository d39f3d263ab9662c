'use server';

import { cookies, headers } from 'next/headers';
import { redirect } from 'next/navigation';
import { attributes, cookie, find, forget, userOf } from '../lib/sessions';

/** A server action. It may refresh and set cookies. Next.js refuses it to pages of other origins. */
export async function logout() {
  const jar = await cookies();
  const id = jar.get(cookie)?.value;
  if (id) {
    await find(id)?.logout({ headers: userOf(await headers()) });
    await forget(id);
    jar.set(cookie, '', { ...attributes, maxAge: 0 }); // delete() leaves Secure out, which __Host- needs
  }
  redirect('/');
}

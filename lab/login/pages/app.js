// What the pages share: where they are told things, and which part of a case comes next.
const query = new URLSearchParams(location.search);
if (query.has('case')) sessionStorage.setItem('case', query.get('case'));

export const settings = await (await fetch('/settings.json')).json();
export const here = location.origin + location.pathname;
export const afterLogout = here + '?left=1';

/** Lets the reuse interval pass. */
export async function later() {
  const answer = await fetch('/later', { method: 'POST' });
  if (!answer.ok) throw new Error(`the clock answers ${answer.status}`);
}

/** Tells the test a result. */
const report = (result) => fetch('/report', { method: 'POST', body: JSON.stringify(result) });

/**
 * Plays the part of the case that this address is for: begin sends the user to the login, cases have what the app does
 * when they come back, and ended what it does after the logout. The result of the last part is reported.
 */
export async function play({ begin, cases, ended }) {
  const name = sessionStorage.getItem('case');
  try {
    if (query.has('case')) return await begin(name === 'denied' ? 'nobody' : 'alice');
    const result = query.has('left') ? await ended() : await cases[name]();
    if (result) await report(result);
  } catch (error) {
    await report({ failure: `${error} ${error.stack}` });
  }
}

/** Returns the error that a promise is rejected with. */
export async function refusal(promise) {
  const [result] = await Promise.allSettled([promise]);
  if (result.status === 'fulfilled') throw new Error('it was not refused');
  return result.reason;
}

/** Returns the only value among results of which the others are refusals, and the first of these. */
export function winner(results) {
  const [won, ...more] = results.filter((r) => r.status === 'fulfilled');
  const lost = results.find((r) => r.status === 'rejected');
  if (!won || more.length) throw new Error(`${more.length + (won ? 1 : 0)} of ${results.length} won: ${lost?.reason}`);
  return { won: won.value, lost: lost.reason };
}

/** Returns this address with another state. */
export function otherState() {
  const address = new URL(location.href);
  address.searchParams.set('state', 'another');
  return address.href;
}

/** Keeps a value over the logout. */
export const keep = (value) => sessionStorage.setItem('kept', JSON.stringify(value));
export const kept = () => JSON.parse(sessionStorage.getItem('kept'));

// A tab that uses its session all the time. The address says which client, transport and session it is about.
import { LoginRequiredError, Session } from '@rotor-auth/rotor/browser';
import { dpop } from '@rotor-auth/rotor/dpop';

const asked = new URLSearchParams(location.search);
const tab = asked.get('tab');
const issuer = location.origin.replace('//app.', '//auth.');

/** What became of the session, as this tab was told. */
window.told = [];
/** How many calls got an answer, and which errors others threw. */
window.calls = 0;
window.errors = {};
/** When the access token runs out that was used last. */
window.ends = 0;

/** A clock by which a request takes long before the package gives it up, so that a machine that is busy loses none. */
const patient = {
  now: () => ({ wall: Date.now(), steady: performance.now() }),
  sleep: (ms, signal) => new Promise((resolve) => {
    if (signal?.aborted) resolve();
    const timer = setTimeout(resolve, ms <= 5_000 ? ms : 6 * ms);
    signal?.addEventListener('abort', () => { clearTimeout(timer); resolve(); });
  }),
  random: Math.random,
};

const tell = (what) => navigator.sendBeacon('/report', `tab ${tab}: ${what}`);

window.session = new Session({
  issuer,
  clientId: asked.get('client'),
  transport: asked.get('transport'),
  name: asked.get('name') ?? undefined,
  ...(asked.has('unlocked') && { locks: null }),
  ...(asked.has('dpop') && { dpop }),
  ...(asked.has('patient') && { clock: patient }),
  // The test learns which tab it is that refreshes.
  fetch: (input, init) => fetch(input === `${issuer}/oauth/token` ? `${input}?tab=${tab}` : input, init),
  onChange: (change) => {
    told.push(change);
    if (change !== 'login') tell(change);
  },
});

/** Calls the API once. It returns the user whom the access token is of, or the name of the error. */
window.use = async () => {
  try {
    const response = await session.fetch(`/api?tab=${tab}`);
    if (response.status !== 200) return `status ${response.status}`;
    const user = await response.text();
    calls++;
    ends = (await session.token()).expiresAt;
    return user;
  } catch (error) {
    if (error instanceof LoginRequiredError) tell(error.message);
    const text = `${error.name}: ${error.message}`;
    errors[text] = (errors[text] ?? 0) + 1;
    return error.name;
  }
};

/** Calls the API again and again, and never two tabs at the same pace. */
window.work = async () => {
  for (;;) {
    await use();
    await new Promise((resolve) => setTimeout(resolve, 100 + 200 * Math.random()));
  }
};

if (asked.has('work')) work();

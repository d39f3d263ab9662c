import { LoginRequiredError, Session } from '@rotor-auth/rotor/browser';
import { clientId, issuer } from './settings.js';

// The refresh token is in a cookie that no script can read. Access tokens are in the memory of the tabs, and nowhere else.
// `fetch` of the session sends them to the page's own origin; the option `origins` names others.
const session = new Session({ issuer, clientId, transport: 'cookie', onChange: (change) => void show(reasons[change]) });

const reasons = { login: 'Logged in.', logout: 'Logged out.', login_required: 'Your session has ended. Log in again.' };
const element = (id) => document.getElementById(id);

/** Shows a text, and the buttons that make sense now. */
async function show(text) {
  element('status').textContent = text;
  const isIn = await session.isLoggedIn();
  element('login').hidden = isIn;
  element('orders').hidden = element('logout').hidden = !isIn;
}

/** Runs what a button does, and says what became of it. */
function onClick(id, work) {
  element(id).addEventListener('click', async () => {
    try {
      await work();
    } catch (error) {
      // Only a LoginRequiredError means that the session is over. After any other error it lives.
      await show(error instanceof LoginRequiredError ? reasons.login_required : `This did not work; try again. (${error.message})`);
    }
  });
}

onClick('login', () => session.authorize({ scope: 'openid orders' })); // leaves the page

onClick('orders', async () => {
  const response = await session.fetch('/api/orders'); // refreshes first if it must
  if (!response.ok) throw new Error(`the API answered ${response.status}`);
  const { user, orders, until } = await response.json();
  await show(`${user} has ${orders.length} orders. The access token ends at ${new Date(until * 1000).toLocaleTimeString()}.`);
});

onClick('logout', async () => {
  await session.logout(); // at once in every tab, and then at the service
  await show('Logged out, also at the service.');
});

try {
  // Takes the login's answer, if the page was opened with one; or goes on with the session of before; or with that whose cookie there is,
  // if the browser has deleted what the page had stored.
  const isIn = (await session.handleRedirect()) || (await session.isLoggedIn()) || (await session.restore());
  await show(isIn ? 'Logged in.' : 'Nobody is logged in.');
} catch (error) {
  await show(`The login failed: ${error.message}`);
}

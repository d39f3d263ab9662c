// The page knows no token. It calls its own server, which has the browser's session cookie.
const element = (id) => document.getElementById(id);
const call = (path, method = 'GET') => fetch(path, { method, headers: { 'X-App': '1' } }); // the header that the server asks for

function show(text, isIn) {
  element('status').textContent = text;
  element('login').hidden = isIn;
  element('orders').hidden = element('logout').hidden = !isIn;
}

/** Shows the user's orders. The answer 401 alone means that the session is over: after a 503 it lives. */
async function load(text401) {
  const response = await call('/api/orders').catch(() => undefined);
  if (response?.status === 401) return show(text401, false);
  if (!response?.ok) return show('This did not work; try again.', true);
  const { user, orders, until } = await response.json();
  show(`${user} has ${orders.length} orders. The access token ends at ${new Date(until * 1000).toLocaleTimeString()}.`, true);
}

element('orders').addEventListener('click', () => load('Your session has ended. Log in again.'));

element('logout').addEventListener('click', async () => {
  const response = await call('/logout', 'POST').catch(() => undefined);
  if (response?.ok) show('Logged out.', false);
  else show('This did not work; try again.', true);
});

await load('Nobody is logged in.');

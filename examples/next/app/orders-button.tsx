'use client';

import { useState } from 'react';

/** A client component. It knows no token: it calls a route handler of this app. */
export function Orders() {
  const [text, setText] = useState('');
  async function load() {
    const response = await fetch('/api/orders').catch(() => undefined);
    if (response?.status === 401) return location.assign('/?ended=1');
    if (!response?.ok) return setText('This did not work; try again.');
    const { user, orders, until } = await response.json();
    setText(`${user} has ${orders.length} orders. The access token ends at ${new Date(until * 1000).toLocaleTimeString()}.`);
  }
  return (
    <>
      <button id="orders" onClick={load}>Load my orders</button>
      <p id="loaded">{text}</p>
    </>
  );
}

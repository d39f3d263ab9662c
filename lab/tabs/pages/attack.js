// What a page of somebody else can send. Each function returns what it could read of the answer, or the error's name.

const form = (address, members, { enctype = 'application/x-www-form-urlencoded', method = 'POST', target } = {}) => {
  const element = document.createElement('form');
  Object.assign(element, { action: address, enctype, method, target: target ?? '_self' });
  for (const [name, value] of Object.entries(members)) {
    const input = document.createElement('input');
    Object.assign(input, { type: 'hidden', name, value });
    element.append(input);
  }
  document.body.append(element);
  element.submit();
};

/** Sends a form into a frame. */
const framed = async (address, members, options) => {
  const frame = document.createElement('iframe');
  frame.name = `frame-${Math.random()}`;
  document.body.append(frame);
  const loaded = new Promise((resolve) => { frame.onload = resolve; });
  form(address, members, { ...options, target: frame.name });
  await loaded;
  try {
    return frame.contentDocument?.body?.innerText ?? 'SecurityError';
  } catch (error) {
    return error.name;
  }
};

/** Sends a request by fetch. */
const fetched = async (address, members, init = {}) => {
  try {
    const response = await fetch(address, { method: 'POST', body: new URLSearchParams(members), ...init });
    return response.type === 'opaque' ? 'opaque' : `${response.status} ${await response.text()}`;
  } catch (error) {
    return error.name;
  }
};

/** Loads the address by an element. */
const embedded = (element, address, members) => new Promise((resolve) => {
  const e = document.createElement(element);
  e.onload = () => resolve('loaded');
  e.onerror = () => resolve('error');
  e.src = `${address}?${new URLSearchParams(members)}`;
  document.body.append(e);
});

const beaconed = async (address, members) => {
  navigator.sendBeacon(address, new URLSearchParams(members));
  return 'sent';
};

/** Does something in a sandboxed frame, whose origin is null. */
const sandboxed = (address, members, init) => new Promise((resolve) => {
  const frame = document.createElement('iframe');
  frame.sandbox = 'allow-scripts allow-forms';
  frame.srcdoc = `<script>
    fetch(${JSON.stringify(address)}, { ...${JSON.stringify(init)}, method: 'POST', body: new URLSearchParams(${JSON.stringify(members)}) })
      .then((r) => r.type === 'opaque' ? 'opaque' : r.text(), (e) => e.name).then((text) => parent.postMessage(text, '*'));
  </script>`;
  addEventListener('message', (event) => resolve(event.data), { once: true });
  document.body.append(frame);
});

const header = { 'Rotor-Transport': 'cookie' };

/** Each sends the members to the address. */
window.attacks = {
  'a form': framed,
  'a form of parts': (address, members) => framed(address, members, { enctype: 'multipart/form-data' }),
  'a form of text': (address, members) => framed(address, members, { enctype: 'text/plain' }),
  'a form that gets': (address, members) => framed(address, members, { method: 'GET' }),
  'fetch': (address, members) => fetched(address, members),
  'fetch with credentials': (address, members) => fetched(address, members, { credentials: 'include' }),
  'fetch with credentials and the header': (address, members) => fetched(address, members, { credentials: 'include', headers: header }),
  'fetch with the header': (address, members) => fetched(address, members, { credentials: 'omit', headers: header }),
  'fetch without CORS': (address, members) => fetched(address, members, { credentials: 'include', mode: 'no-cors' }),
  'fetch without CORS, with the header': (address, members) => fetched(address, members, { credentials: 'include', mode: 'no-cors', headers: header }),
  'fetch of JSON without CORS': (address, members) => fetched(address, {}, { credentials: 'include', mode: 'no-cors', body: JSON.stringify(members), headers: { 'Content-Type': 'application/json' } }),
  'an image': (address, members) => embedded('img', address, members),
  'a script': (address, members) => embedded('script', address, members),
  'a frame': (address, members) => embedded('iframe', address, members),
  'a beacon': beaconed,
  'a sandboxed frame': (address, members) => sandboxed(address, members, { credentials: 'include' }),
  'a sandboxed frame with the header': (address, members) => sandboxed(address, members, { credentials: 'include', headers: header }),
  'a sandboxed frame without CORS': (address, members) => sandboxed(address, members, { credentials: 'include', mode: 'no-cors' }),
};
/** Leaves the page with a form, in which case cookies are sent that a frame would not get. */
window.leave = (address, members, enctype) => form(address, members, { enctype });

// A script of somebody else, which runs before everything in the page and keeps each text that it gets hold of.
(() => {
  const found = [];
  const { stringify } = JSON;
  const jsonOf = (what) => { try { return typeof what === 'string' ? what : stringify(what) ?? String(what); } catch { return String(what); } };
  const keep = (where, what) => found.push([where, jsonOf(what)]);
  const headers = (h) => [...h].map((pair) => pair.join(': ')).join('\n');

  const realFetch = fetch;
  window.fetch = async (input, init) => {
    const request = new Request(input, init);
    keep('a request', [request.url, headers(request.headers), request.method === 'POST' ? await request.clone().text() : '']);
    try {
      const response = await realFetch(input, init);
      keep('an answer', [response.url, headers(response.headers), await response.clone().text()]);
      return response;
    } catch (error) {
      keep('an error', String(error?.stack ?? error));
      throw error;
    }
  };
  for (const [owner, name] of [[JSON, 'parse'], [JSON, 'stringify'], [Storage.prototype, 'setItem'], [URLSearchParams.prototype, 'set'], [TextDecoder.prototype, 'decode'],
    [BroadcastChannel.prototype, 'postMessage'], [IDBObjectStore.prototype, 'put'], [console, 'log'], [console, 'warn'], [console, 'error']]) {
    const real = owner[name];
    owner[name] = function (...all) {
      const result = real.apply(this, all);
      for (const what of [...all, result]) if (what) keep(name, what);
      return result;
    };
  }
  for (const name of ['generateKey', 'exportKey', 'wrapKey']) {
    const real = SubtleCrypto.prototype[name];
    SubtleCrypto.prototype[name] = async function (...all) {
      const result = await real.apply(this, all);
      keep(name, [all[1]?.type ?? all[1], result instanceof ArrayBuffer ? [...new Uint8Array(result)] : result]);
      return result;
    };
  }
  window.addEventListener('error', (event) => keep('an error', String(event.error?.stack ?? event.message)));
  window.addEventListener('unhandledrejection', (event) => keep('an error', String(event.reason?.stack ?? event.reason)));
  new BroadcastChannel('rotor spa default').onmessage = (event) => keep('a message', event.data);
  new PerformanceObserver((list) => list.getEntries().forEach((entry) => keep('an entry', entry.name))).observe({ type: 'resource', buffered: true });

  /** Returns the text of an object with all that its prototypes and symbols have. */
  const dump = (object, depth = 3) => {
    if (depth === 0 || object === null || typeof object !== 'object') return String(object);
    return Reflect.ownKeys(object).map((key) => { try { return `${String(key)}=${dump(object[key], depth - 1)}`; } catch { return String(key); } }).join(' ');
  };

  /** Looks everywhere. It returns pairs of a place and a text. */
  window.search = async () => {
    keep('document.cookie', document.cookie);
    keep('cookieStore', await cookieStore.getAll());
    keep('localStorage', { ...localStorage });
    keep('sessionStorage', { ...sessionStorage });
    for (const { name } of await indexedDB.databases()) {
      const db = await new Promise((resolve, reject) => Object.assign(indexedDB.open(name), { onsuccess() { resolve(this.result); }, onerror() { reject(this.error); } }));
      for (const table of db.objectStoreNames) {
        const all = await new Promise((resolve, reject) => Object.assign(db.transaction(table).objectStore(table).getAll(), { onsuccess() { resolve(this.result); }, onerror() { reject(this.error); } }));
        keep('IndexedDB', all);
      }
      db.close();
    }
    for (const name of await caches.keys()) {
      const cache = await caches.open(name);
      for (const request of await cache.keys()) keep('a cache', [request.url, await (await cache.match(request)).text()]);
    }
    keep('performance', performance.getEntries().map((entry) => entry.name));
    keep('the address', [location.href, history.state, document.referrer, window.name]);
    keep('the document', document.documentElement.outerHTML);
    keep('the session', [dump(session), String(session), session]);
    return found;
  };
})();

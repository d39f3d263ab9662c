// The way from programs to the service, which counts the refreshes and makes them fail. It also is the API that programs call.
import { once } from 'node:events';
import { createServer } from 'node:http';
import { text } from 'node:stream/consumers';

export class Proxy {
  /** How many refreshes were sent, without those that only asked for a nonce. */
  requests = 0;
  /** The tokens that went by. */
  secrets = new Set();
  /** Returns what becomes of the n-th refresh: undefined, or a key of faults. */
  fault = () => undefined;
  #server = createServer((request, response) => this.#serve(request, response).catch((error) => response.destroy(error)));
  #service;
  #isActive;
  #port;
  #held = 0;
  #opened;
  #open;

  static async start(service, isActive) {
    const proxy = new Proxy();
    proxy.#service = service;
    proxy.#isActive = isActive;
    await proxy.up();
    return proxy;
  }

  /** Listens, on the same port each time. */
  async up() {
    this.#server.listen(this.#port ?? 0, '127.0.0.1');
    await once(this.#server, 'listening');
    this.#port = this.#server.address().port;
  }

  /** Listens no more, so that connections are refused. */
  async down() {
    this.#server.close();
    this.#server.closeAllConnections();
    if (this.#server.listening) await once(this.#server, 'close');
  }

  get address() {
    return `http://127.0.0.1:${this.#port}`;
  }

  /** Does what fetch does, and counts the requests that no one has accepted. */
  fetch = async (input, init) => {
    try {
      return await fetch(input, init);
    } catch (error) {
      if (error.cause?.code === 'ECONNREFUSED') this.requests++;
      throw error;
    }
  };

  /** Holds refreshes back until there are n of them. */
  gate(n) {
    this.#held = n;
    this.#opened = new Promise((resolve) => (this.#open = resolve));
  }

  async #serve(request, response) {
    const body = await text(request);
    response.setHeader('Connection', 'close'); // otherwise a client may not notice that the connection has ended
    if (request.url === '/api') {
      const isActive = await this.#isActive(request.headers.authorization?.replace(/^(Bearer|DPoP) /, '') ?? '');
      response.writeHead(isActive ? 200 : 401, isActive ? {} : { 'WWW-Authenticate': 'Bearer error="invalid_token"' }).end();
      return;
    }
    const { authorization, dpop } = request.headers;
    const forward = () =>
      fetch(this.#service + request.url, {
        method: request.method,
        headers: { 'Content-Type': request.headers['content-type'] ?? '', ...(authorization && { Authorization: authorization }), ...(dpop && { DPoP: dpop }) },
        body,
      });
    if (dpop && !JSON.parse(Buffer.from(dpop.split('.')[1], 'base64url')).nonce) {
      const answer = await forward(); // with the nonce
      response.writeHead(answer.status, { 'Content-Type': 'application/json', 'DPoP-Nonce': answer.headers.get('DPoP-Nonce') }).end(await answer.text());
      return;
    }
    const n = ++this.requests;
    if (this.#held > 0) {
      if (--this.#held === 0) this.#open();
      await this.#opened;
    }
    const fault = faults[this.fault(n)] ?? {};
    if (fault.before) return fault.before(response);
    const answer = await forward();
    const bytes = Buffer.from(await answer.arrayBuffer());
    const { access_token, refresh_token } = JSON.parse(bytes);
    for (const secret of [access_token, refresh_token]) if (secret) this.secrets.add(secret);
    if (fault.after) return fault.after(response, bytes);
    await this.beforeAnswer?.(n);
    const nonce = answer.headers.get('DPoP-Nonce');
    const headers = { 'Content-Type': 'application/json', 'Cache-Control': 'no-store', 'Content-Length': bytes.length, ...(nonce && { 'DPoP-Nonce': nonce }) };
    response.writeHead(answer.status, headers).end(bytes);
  }
}

const unavailable = (status) => (response) => response.writeHead(status, { 'Content-Type': 'text/plain', 'Retry-After': '1' }).end('try again');

/** The ways in which a refresh fails. */
const faults = {
  lost: { after: (response) => response.destroy() },
  cut: { after: (response, bytes) => response.writeHead(200, { 'Content-Type': 'application/json', 'Content-Length': bytes.length }).write(bytes.subarray(0, bytes.length / 2), () => response.destroy()) },
  'failed after': { after: unavailable(503) },
  failed: { before: unavailable(503) },
  busy: { before: unavailable(429) },
  unauthorized: { before: unavailable(401) },
};

/** Returns a function by which only the first refresh has the fault. */
export const first = (fault) => (n) => (n === 1 ? fault : undefined);

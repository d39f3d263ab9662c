/** Reports whether an address is on this machine, where no TLS is needed. */
export function isLoopback(address: string): boolean {
  return /^(localhost|127(\.\d+){3}|\[::1\])$/.test(new URL(address).hostname);
}

/** Returns the address if tokens may be sent to it. */
export function checkAddress(address: string): string {
  const url = new URL(address);
  if (url.username || url.password || url.hash) throw new TypeError('the address of an endpoint must not have a user, a password or a fragment');
  if (url.protocol !== 'https:' && !(url.protocol === 'http:' && isLoopback(address))) {
    throw new TypeError(`the address ${url.origin} must begin with https: only this machine is asked without TLS`);
  }
  return url.href;
}

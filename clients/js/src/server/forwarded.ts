/** The address and the agent of an end user. */
export interface EndUser {
  ip?: string | undefined;
  userAgent?: string | undefined;
}

/** A request of Node's http module, of Express or of Fastify, as far as it tells who sent it. */
export interface IncomingRequest {
  /** The address as the framework sees it: with its `trust proxy`, behind a proxy of yours. */
  ip?: string | undefined;
  socket?: { remoteAddress?: string | undefined };
  headers: { 'user-agent'?: string | undefined };
}

/**
 * Returns the headers that tell Rotor who the end user is. The client must be confidential and registered with `may_forward`.
 * Give them to `token()` of a session, or as options of a login.
 *
 * It takes the request of a framework, or an address and an agent that you know: a Request of the fetch API does not tell
 * whom it came from. Headers that proxies add, such as X-Forwarded-For, are never read here, because anybody can send them.
 */
export function forwardedFor(user: EndUser | IncomingRequest): Record<string, string> {
  const { ip, userAgent } = 'headers' in user ? { ip: user.ip ?? user.socket?.remoteAddress, userAgent: user.headers['user-agent'] } : user;
  const bare = ip?.replace(/^(\d+\.\d+\.\d+\.\d+):\d+$/, '$1').replace(/^\[(.*)\](:\d+)?$/, '$1'); // some proxies add the port
  const address = bare?.replace(/^::ffff:(?=\d+\.\d+\.\d+\.\d+$)/i, '').replace(/%.*$/, ''); // an IPv4 address on an IPv6 socket
  const plain = /^(\d{1,3}(\.\d{1,3}){3}|[\da-f:.]*:[\da-f:.]*)$/i.test(address ?? '') ? address : undefined; // anything else would be refused
  const agent = userAgent?.replace(/[^\x20-\x7e]/g, '?').trim();
  return { ...(plain && { 'Rotor-Client-Ip': plain }), ...(agent && { 'Rotor-Client-User-Agent': agent }) };
}

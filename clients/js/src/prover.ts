import * as oauth from 'oauth4webapi';
import type { Prover } from './keys.js';

const algorithm = { name: 'ECDSA', namedCurve: 'P-256' };

/** Makes a key of P-256. */
export const newPair = (extractable: boolean): Promise<CryptoKeyPair> => crypto.subtle.generateKey(algorithm, extractable, ['sign', 'verify']);

export const importKey = (jwk: JsonWebKey, extractable: boolean, use: 'sign' | 'verify'): Promise<CryptoKey> => crypto.subtle.importKey('jwk', jwk, algorithm, extractable, [use]);

/** Returns what signs with a key. */
export function proverOf(pair: CryptoKeyPair): Prover {
  const handle = oauth.DPoP({}, pair);
  return {
    handle,
    async send(request, accessToken, fetch) {
      let sent: Promise<Response> | undefined;
      try {
        await oauth.protectedResourceRequest(accessToken, request.method, new URL(request.url), request.headers, null, {
          DPoP: handle,
          [oauth.allowInsecureRequests]: true, // to whom a token is sent is for the option origins to say
          [oauth.customFetch]: (_, { headers }) => {
            for (const name of ['authorization', 'dpop']) request.headers.set(name, headers[name]!);
            return (sent = fetch(request));
          },
        });
      } catch (error) {
        if (!sent) throw error; // otherwise it is about the answer, which is the caller's
      }
      return sent!;
    },
  };
}

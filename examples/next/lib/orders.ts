import { createRemoteJWKSet, jwtVerify } from 'jose';
import { settings } from './settings';

let keys: ReturnType<typeof createRemoteJWKSet> | undefined;

/** Stands for the API that you call with the access token. */
export async function orders(token: string) {
  const { issuer } = settings();
  keys ??= createRemoteJWKSet(new URL(issuer + '/.well-known/jwks.json'), { cacheMaxAge: 300_000 });
  // The audience is the address of your API, once your families have one.
  const { payload } = await jwtVerify(token, keys, { issuer, audience: issuer, typ: 'at+jwt', algorithms: ['RS256', 'ES256'] });
  return { user: payload.sub!, orders: ['a teapot', 'two cups'], until: payload.exp! };
}

// An API that takes access tokens. It stands for the services behind your backend.
import express from 'express';
import { createRemoteJWKSet, jwtVerify } from 'jose';

/** Starts the API, and returns its address. */
export async function startAPI(issuer) {
  const keys = createRemoteJWKSet(new URL(issuer + '/.well-known/jwks.json'), { cacheMaxAge: 300_000 });
  const api = express().disable('x-powered-by');
  api.get('/orders', async (request, response) => {
    const token = /^Bearer (\S+)$/.exec(request.get('Authorization') ?? '')?.[1] ?? '';
    try {
      // The audience is the address of your API, once your families have one.
      const { payload } = await jwtVerify(token, keys, { issuer, audience: issuer, typ: 'at+jwt', algorithms: ['RS256', 'ES256'] });
      response.json({ user: payload.sub, orders: ['a teapot', 'two cups'], until: payload.exp });
    } catch (error) {
      // If the keys could not be fetched, that says nothing of the token.
      response.sendStatus(error.code && error.code !== 'ERR_JWKS_TIMEOUT' ? 401 : 503);
    }
  });
  const server = api.listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  return `http://127.0.0.1:${server.address().port}`;
}

// Serves the files of the page, as any host of static files does, and an API, which is any API that takes access tokens.
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { createRemoteJWKSet, jwtVerify } from 'jose';

const { ISSUER = 'http://127.0.0.1:3000', CLIENT_ID = 'example-spa', PORT = '4001' } = process.env;

const index = await readFile('index.html', 'utf8');
const settings = `export const issuer = ${JSON.stringify(ISSUER)}, clientId = ${JSON.stringify(CLIENT_ID)};\n`;

// No script runs but those of this origin, and the import map. That is what keeps injected scripts out; the cookie limits what one
// could do that gets in all the same.
const map = /<script type="importmap">([^]*?)<\/script>/.exec(index)[1];
const policy = [
  "default-src 'none'",
  `script-src 'self' 'sha256-${createHash('sha256').update(map).digest('base64')}'`,
  `connect-src 'self' ${new URL(ISSUER).origin}`,
  "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
].join('; ');

const keys = createRemoteJWKSet(new URL(ISSUER + '/.well-known/jwks.json'), { cacheMaxAge: 300_000 });

const server = createServer(async (request, response) => {
  const { pathname } = new URL(request.url, 'http://page');
  const answer = (status, type, body) =>
    response
      .writeHead(status, { 'Content-Type': type, 'Content-Security-Policy': policy, 'Referrer-Policy': 'no-referrer', 'X-Content-Type-Options': 'nosniff' })
      .end(body);
  try {
    if (request.method !== 'GET') return answer(405, 'text/plain', 'only GET');
    if (pathname === '/') return answer(200, 'text/html; charset=utf-8', index);
    if (pathname === '/settings.js') return answer(200, 'text/javascript', settings);
    if (pathname === '/api/orders') return await orders(request, answer);
    const isPublic = pathname === '/main.js' || /^\/node_modules\/(@rotor-auth\/rotor\/dist|oauth4webapi\/build)\/[\w-]+\.js$/.test(pathname);
    if (isPublic) return answer(200, 'text/javascript', await readFile('.' + pathname));
    answer(404, 'text/plain', 'not found');
  } catch (error) {
    console.error(error);
    answer(500, 'text/plain', 'this did not work');
  }
});

/** Answers the orders of the user whom the access token names. */
async function orders(request, answer) {
  let claims;
  try {
    const token = /^Bearer (\S+)$/.exec(request.headers.authorization ?? '')?.[1] ?? '';
    // The audience is the address of your API, once your families have one.
    ({ payload: claims } = await jwtVerify(token, keys, { issuer: ISSUER, audience: ISSUER, typ: 'at+jwt', algorithms: ['RS256', 'ES256'] }));
  } catch (error) {
    if (error.code === 'ERR_JWKS_TIMEOUT' || !error.code) throw error; // the keys could not be fetched, which says nothing of the token
    return answer(401, 'text/plain', 'this needs an access token');
  }
  answer(200, 'application/json', JSON.stringify({ user: claims.sub, orders: ['a teapot', 'two cups'], until: claims.exp }));
}

server.listen(Number(PORT), '127.0.0.1', () => console.log(`Listening on http://127.0.0.1:${server.address().port}`));

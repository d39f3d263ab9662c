#!/usr/bin/env node
// node-oidc-provider as its own README runs it, with its store in memory, made ready for the same load as Rotor: it rotates
// its refresh tokens and answers with one ES256 signature, that of a JWT access token. Where Rotor's load registers a
// client and starts families, at /v1, tokens are made through the library's own models, without a login.
import { generateKeyPairSync } from 'node:crypto'
import { createServer } from 'node:http'
import Provider, { errors } from 'oidc-provider'

const resource = 'https://api.example.com'
const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
const server = createServer((request, response) => handle(request, response))
await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
const url = `http://127.0.0.1:${server.address().port}`

const provider = new Provider(url, {
  clients: ['load', 'crowd'].map((client_id) => ({
    client_id, redirect_uris: ['https://app.example.com/callback'], grant_types: ['authorization_code', 'refresh_token'],
    token_endpoint_auth_method: 'none', id_token_signed_response_alg: 'ES256',
  })),
  jwks: { keys: [{ ...privateKey.export({ format: 'jwk' }), use: 'sig', alg: 'ES256' }] },
  routes: { token: '/oauth/token' },
  rotateRefreshToken: true,
  ttl: { AccessToken: 3600, RefreshToken: 1209600, Grant: 1209600 },
  features: {
    devInteractions: { enabled: false },
    resourceIndicators: {
      enabled: true,
      getResourceServerInfo: (_, indicator) => {
        if (indicator !== resource) throw new errors.InvalidTarget()
        return { scope: 'read', audience: resource, accessTokenFormat: 'jwt', jwt: { sign: { alg: 'ES256' } } }
      },
      useGrantedResource: () => true,
    },
  },
  findAccount: (_, accountId) => ({ accountId, claims: () => ({ sub: accountId }) }),
})
const serve = provider.callback()

const start = async ({ user_id: accountId, client_id: clientId }) => {
  const client = await provider.Client.find(clientId)
  const grant = new provider.Grant({ accountId, clientId })
  grant.addResourceScope(resource, 'read')
  const grantId = await grant.save()
  const token = new provider.RefreshToken({ accountId, client, grantId, gty: 'authorization_code', resource, scope: 'read' })
  return { refresh_token: await token.save() }
}

const read = async (request) => {
  let text = ''
  for await (const chunk of request) text += chunk
  return JSON.parse(text)
}

const handle = async (request, response) => {
  if (!request.url.startsWith('/v1/')) return serve(request, response)
  const body = await read(request)
  const answer = request.url === '/v1/families' ? await start(body) : {}
  response.writeHead(201, { 'content-type': 'application/json' }).end(JSON.stringify(answer))
}
console.log(`serving at ${url}`)

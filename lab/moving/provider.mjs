// A provider that rotates its refresh tokens, with the library's own defaults for everything else: its store in memory,
// its accounts, its login pages. It obeys a line of standard input each, and answers each with a line of JSON. It ends
// with its standard input.
import { createServer } from 'node:http'
import { createInterface } from 'node:readline'
import Provider from 'oidc-provider'

const server = createServer((request, response) => handle(request, response))
const listen = (port) => new Promise((resolve) => server.listen(port, '127.0.0.1', resolve))
await listen(0)
const { port } = server.address()
const issuer = `http://127.0.0.1:${port}`

const provider = new Provider(issuer, {
  clients: [{
    client_id: 'shop-old', client_secret: process.env.CLIENT_SECRET, redirect_uris: [process.env.REDIRECT_URI],
    grant_types: ['authorization_code', 'refresh_token'], token_endpoint_auth_method: 'client_secret_basic',
  }],
  rotateRefreshToken: true,
  scopes: ['openid', 'offline_access'],
})
const handle = provider.callback()

const counts = { success: 0, refused: 0, revoked: 0 }
const isRefresh = (ctx) => ctx.oidc.params?.grant_type === 'refresh_token'
provider.on('grant.success', (ctx) => { counts.success += isRefresh(ctx) ? 1 : 0 })
provider.on('grant.error', (ctx) => { counts.refused += isRefresh(ctx) ? 1 : 0 })
provider.on('grant.revoked', () => { counts.revoked++ })

const commands = {
  counts: () => counts,
  stop: () => new Promise((resolve) => { server.close(() => resolve({})); server.closeAllConnections() }),
  start: () => listen(port).then(() => ({})),
}
console.log(JSON.stringify({ issuer }))
for await (const line of createInterface({ input: process.stdin })) {
  console.log(JSON.stringify(await commands[line]()))
}
process.exit()

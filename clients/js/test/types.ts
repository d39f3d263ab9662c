// What users of the package write must pass `tsc --strict`. This is compiled, and never run.
import { DynamoDB } from '@aws-sdk/client-dynamodb';
import { type Change, Session as PageSession } from '@rotor-auth/rotor/browser';
import { dpop } from '@rotor-auth/rotor/dpop';
import { DynamoStore, FileStore, LoginRequiredError, Session, type Store, type StoredRecord } from '@rotor-auth/rotor/node';
import { type api, Management, ProblemError, forwardedFor } from '@rotor-auth/rotor/server';
import type { IncomingMessage } from 'node:http';

export async function page(): Promise<string> {
  const session = new PageSession({ issuer: 'https://auth.example.com', clientId: 'spa', transport: 'cookie', onChange: (change: Change) => console.log(change) });
  if (!(await session.handleRedirect()) && !(await session.isLoggedIn())) await session.authorize({ scope: 'openid orders' });
  const { accessToken, expiresAt } = await session.token();
  const response: Response = await session.fetch('/orders', { method: 'POST', body: '{}' });
  return accessToken + (expiresAt ?? 0) + response.status;
}

export async function bound(rotor: Management): Promise<string> {
  const page = new PageSession({ issuer: 'https://auth.example.com', clientId: 'spa', transport: 'token', dpop });
  const session = new Session({ issuer: 'https://auth.example.com', clientId: 'cli', store: new FileStore('/var/lib/app/alice'), dpop: true });
  await session.login(await rotor.startFamily({ user_id: 'alice', client_id: 'cli', dpop_jkt: await session.thumbprint() }));
  // @ts-expect-error A page keeps its key by what the entry dpop has.
  new PageSession({ issuer: 'https://auth.example.com', clientId: 'spa', transport: 'token', dpop: true });
  return page.thumbprint();
}

export class Encrypted implements Store {
  constructor(readonly store: Store) {}
  load = (signal: AbortSignal): Promise<StoredRecord> => this.store.load(signal);
  save = (record: StoredRecord, signal: AbortSignal): Promise<void> => this.store.save(record, signal);
}

export async function backend(request: IncomingMessage, express: { ip: string | undefined; headers: Record<string, string | undefined> }): Promise<void> {
  const store = new DynamoStore(new DynamoDB({}), 'sessions', 'alice');
  const session = new Session({ issuer: 'https://auth.example.com', clientId: 'backend', clientSecret: 's', store, params: { resource: ['https://api.example.com'] } });
  const { privateKey: key } = await crypto.subtle.generateKey({ name: 'Ed25519' }, false, ['sign', 'verify']) as CryptoKeyPair;
  console.log(new Session({ issuer: 'https://auth.example.com', clientId: 'backend', clientKey: { key, kid: '1' }, store }));
  const rotor = new Management('https://auth.example.com', { credentials: async () => ({ accessKeyId: 'a', secretAccessKey: 'b' }), region: 'eu-central-1' });
  await session.login(await rotor.startFamily({ user_id: 'alice', client_id: 'backend' }, { idempotencyKey: 'k', ip: '192.0.2.1' }));
  try {
    await session.token({ headers: forwardedFor(request), signal: AbortSignal.timeout(1000) });
    await session.token({ headers: forwardedFor(express) });
  } catch (error) {
    if (error instanceof LoginRequiredError) console.log(error.refusal?.code);
    if (error instanceof ProblemError) console.log(error.errors.map(({ field }) => field));
  }
  for await (const family of rotor.families({ userId: 'alice', status: 'active' })) console.log(family.last_ip satisfies string | undefined);
  const client: api.Client = await rotor.register('spa', { type: 'public', policy: { reuse_interval: 60 } });
  console.log(client, new FileStore('/var/lib/app/alice'));
  // @ts-expect-error A status that does not exist.
  rotor.families({ userId: 'alice', status: 'dead' });
  // @ts-expect-error A session needs a store.
  new Session({ issuer: 'https://auth.example.com', clientId: 'backend' });
}

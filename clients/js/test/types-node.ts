// In a program for Node, whose types know no DOM, the entries for servers must compile too. This is compiled, and never run.
import { MemoryStore, Session } from '@rotor-auth/rotor/node';
import { Management, forwardedFor } from '@rotor-auth/rotor/server';

const session = new Session({ issuer: 'https://auth.example.com', clientId: 'backend', store: new MemoryStore() });
export const token = session.token({ headers: forwardedFor({ ip: '192.0.2.1' }) });
export const orders: Promise<Response> = session.fetch('https://api.example.com', { method: 'POST' });
export const rotor = new Management('https://auth.example.com', { fetch });

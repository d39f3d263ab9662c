// What the examples of the documentation take as given.
declare const user: { id: string };
declare const secret: string;
declare const tokens: import('@rotor-auth/rotor/node').TokenResponse;
declare const idempotencyKey: string;
declare const request: { ip: string; headers: { 'user-agent'?: string } };
declare const session: import('@rotor-auth/rotor/node').Session;
declare function showLogin(): void;
declare module '@aws-sdk/credential-providers' {
  export function fromNodeProviderChain(): () => Promise<{ accessKeyId: string; secretAccessKey: string }>;
}

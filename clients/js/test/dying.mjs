// A process that logs in by a code and is killed on the way: dying.mjs JOB
import { FileStore, Session } from '@rotor-auth/rotor/node';

const { issuer, clientId, folder, login, dies } = JSON.parse(process.argv[2]);

/** Kills this process at a point, so that none of its code runs again. */
async function point(here) {
  if (here !== dies) return;
  process.kill(process.pid, 'SIGKILL');
  await new Promise(() => {});
}

const file = new FileStore(folder);
const store = {
  load: () => file.load(),
  save: async (record) => {
    await file.save(record);
    await point('after the key');
  },
};
const session = new Session({
  issuer, clientId, store, dpop: true,
  fetch: async (input, init) => {
    await point('before the exchange');
    const response = await fetch(input, init);
    if (response.ok) await point('after the exchange');
    return response;
  },
});
await session.login(login);

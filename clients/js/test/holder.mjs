// A process that holds a session in a folder: holder.mjs ISSUER CLIENT FOLDER SKEW
import { FileStore, Session } from '@rotor-auth/rotor/node';
import { TestClock } from './world.mjs';

const [issuer, clientId, folder, skew] = process.argv.slice(2);
const clock = new TestClock();
clock.skew = Number(skew);
const store = new FileStore(folder);
// With so short an interval, the claim of a process that was killed lapses soon.
const telling = {
  load: () => store.load(),
  save: async (record) => {
    await store.save(record);
    process.send({ saved: record.version });
  },
};
const { accessToken } = await new Session({ issuer, clientId, store: telling, clock: clock.shared, reuseInterval: 4 }).token();
process.send({ token: accessToken }, () => process.exit());

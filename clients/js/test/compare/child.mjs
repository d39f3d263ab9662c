// A process of a contender: child.mjs JOB. It says that it is ready, waits to be told, makes its calls, and sends which succeeded.
import { contenders, keyed } from './contenders.mjs';

const { name, environment, skew, callers, dies } = JSON.parse(process.argv[2]);
const system = Date.now;
Date.now = () => system() + skew;
console.warn = () => {}; // of a library that warns

/** Kills this process at a point, so that none of its code runs again. */
async function point(here) {
  if (here !== dies) return;
  process.kill(process.pid, 'SIGKILL');
  await new Promise(() => {});
}

let saves = 0;
const contender = [...contenders, ...keyed].find((one) => one.name === name);
const program = await contender.start({
  ...environment,
  load: (work) => work(),
  save: async (data, work) => {
    // The holder saves its claim first.
    const what = keyed.includes(contender) && ++saves === 1 ? 'claim' : 'save';
    await point(`before the ${what}`);
    await work();
    await point(`after the ${what}`);
  },
  fetch: async (input, init) => {
    const isRefresh = String(input.url ?? input).endsWith('/oauth/token');
    if (isRefresh) await point('before the request');
    const response = await fetch(input, init);
    if (!isRefresh || response.status === 400) return response; // which wants a nonce
    const body = await response.text();
    await point('after the answer');
    return new Response(body, response);
  },
});
process.send('ready');
await new Promise((resolve) => process.once('message', resolve));
const printed = [];
const results = await Promise.all(
  Array.from({ length: callers }, async () => {
    try {
      return await program();
    } catch (error) {
      if (keyed.includes(contender)) printed.push(String(error), error.stack);
      return false;
    }
  }),
);
process.send({ results, printed }, () => process.exit());

// A process of a contender: child.mjs JOB. It says that it is ready, waits to be told, makes its calls, and sends which succeeded.
import { contenders } from './contenders.mjs';

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
const program = await contenders
  .find((contender) => contender.name === name)
  .start({
    ...environment,
    load: (work) => work(),
    save: async (data, work) => {
      // The holder saves its claim first.
      const what = name === 'Session' && ++saves === 1 ? 'claim' : 'save';
      await point(`before the ${what}`);
      await work();
      await point(`after the ${what}`);
    },
    fetch: async (input, init) => {
      const isRefresh = String(input.url ?? input).endsWith('/oauth/token');
      if (isRefresh) await point('before the request');
      const response = await fetch(input, init);
      if (!isRefresh) return response;
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
      if (name === 'Session') printed.push(String(error), error.stack);
      return false;
    }
  }),
);
process.send({ results, printed }, () => process.exit());

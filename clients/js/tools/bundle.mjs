// Bundles each entry as an app would, and prints how large it is. It fails if the browser's entry is too large, or if an
// app that needs one export gets the whole package.
import { gzipSync } from 'node:zlib';
import { build } from 'esbuild';

/** How many bytes of the browser's entry a page may have to load, gzipped. */
const browserLimit = 12_288;
/** The same, of a page with a key. */
const dpopLimit = 14_336;
/** How many bytes one small export may bring with it. */
const exportLimit = 1_024;

const size = async (contents) => {
  const { outputFiles } = await build({
    stdin: { contents, resolveDir: new URL('..', import.meta.url).pathname },
    bundle: true, minify: true, write: false, format: 'esm', platform: 'neutral', mainFields: ['module', 'main'], external: ['node:*'],
  });
  return gzipSync(outputFiles[0].contents, { level: 9 }).length;
};

for (const [entry, one, limit, besides = ''] of [['browser', 'LoginRequiredError', browserLimit], ['dpop', 'LoginRequiredError', dpopLimit, 'browser'], ['node', 'MemoryStore', Infinity], ['server', 'forwardedFor', Infinity]]) {
  const all = await size([entry, besides].filter(Boolean).map((name) => `export * from '@rotor-auth/rotor/${name}';`).join(''));
  const alone = await size(`export { ${one} } from '@rotor-auth/rotor/${besides || entry}'`);
  console.log(`${[entry, besides].filter(Boolean).join(' and ')}: ${all} bytes gzipped${limit === Infinity ? '' : ` of at most ${limit}`}; ${one} alone: ${alone}`);
  if (all > limit || alone > exportLimit) {
    console.error(`${entry} is too large: an entry may have ${limit} bytes, and ${one} alone ${exportLimit}`);
    process.exitCode = 1;
  }
}

// Writes the examples of the documentation to test/examples, where `tsc -p test` checks them.
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';

const here = new URL('.', import.meta.url);
const folder = new URL('../test/examples/', here);
rmSync(folder, { recursive: true, force: true });
mkdirSync(folder);
let count = 0;
for (const page of ['../README.md', '../../../docs/js.md']) {
  for (const [, code] of readFileSync(new URL(page, here), 'utf8').matchAll(/```ts\n(.*?)```/gs)) writeFileSync(new URL(`${++count}.ts`, folder), code);
}
if (count < 8) throw new Error(`only ${count} examples were found`);

// The package runs unchanged in Node, Deno and Bun.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'node:test';
import { promisify } from 'node:util';
import { startRotor } from './world.mjs';

const world = await startRotor();
const bin = new URL('../node_modules/.bin/', import.meta.url).pathname;
const smoke = new URL('smoke.mjs', import.meta.url).pathname;

for (const [runtime, ...command] of [
  ['node', process.execPath],
  ['deno', bin + 'deno', 'run', '--quiet', '--no-lock', '--allow-all', '--cached-only'],
  ['bun', bin + 'bun', 'run'],
]) {
  test(`it runs in ${runtime}`, async (t) => {
    const folder = await mkdtemp(join(tmpdir(), `rotor-${runtime}-`));
    t.after(() => rm(folder, { recursive: true }));
    const [program, ...options] = command;
    const { stdout } = await promisify(execFile)(program, [...options, smoke, world.issuer, folder], { timeout: 60_000 });
    assert.equal(stdout.trim(), 'works');
  });
}

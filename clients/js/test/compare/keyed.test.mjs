// Plays what only a session with a key survives. docs/js.md has the results.
import assert from 'node:assert/strict';
import test from 'node:test';
import { startRotor } from '../world.mjs';
import { keyed } from './contenders.mjs';
import { keyedScenarios, play } from './scenarios.mjs';
import { prepare } from './stage.mjs';
import { table } from './table.mjs';

const prepared = await prepare(await startRotor());
const rows = [];

for (const scenario of keyedScenarios) {
  test(scenario.row, { timeout: 300_000 }, async () => {
    const [withKey, without] = [await play(prepared, scenario, keyed[0]), await play(prepared, scenario, keyed[1])];
    assert.ok(withKey.requests <= scenario.requests, `${withKey.requests} requests, at most ${scenario.requests} are due`);
    const fates = [withKey, without].map(({ survived }) => (survived ? 'lives' : 'dies'));
    assert.deepEqual(fates, ['lives', 'dies']);
    rows.push([scenario.row, fates]);
  });
}

test('the page says so', async () => {
  assert.deepEqual(await table('js.md', 'Bound to a key'), Object.fromEntries(rows));
});

// Plays every scenario with three programs: make compare-js prints the table, whose results docs/js.md quotes.
import assert from 'node:assert/strict';
import test, { mock } from 'node:test';
import { startRotor } from '../world.mjs';
import { contenders } from './contenders.mjs';
import { play, scenarios } from './scenarios.mjs';
import { prepare } from './stage.mjs';
import { table } from './table.mjs';

const prepared = await prepare(await startRotor());
const names = contenders.map(({ name }) => name);
mock.method(console, 'warn', () => {}); // of a library that warns

/** What was played: the cells of the printed table, and the fates in each row of the documentation. */
const printed = [['', ...names]];
const rows = new Map();

for (const scenario of scenarios) {
  test(scenario.name, { timeout: 300_000 }, async () => {
    const cells = [scenario.name];
    const fates = [];
    for (const contender of contenders) {
      const { survived, requests } = await play(prepared, scenario, contender);
      cells.push(`${survived ? 'survives' : 'DIES'}, ${requests} sent`);
      fates.push(survived ? 'lives' : 'dies');
      if (contender.name === 'Session') assert.ok(requests <= scenario.requests, `${requests} requests, at most ${scenario.requests} are due`);
    }
    printed.push(cells);
    if (scenario.row) {
      const before = rows.get(scenario.row) ?? names.map(() => 'lives');
      rows.set(scenario.row, before.map((fate, n) => (fate === 'dies' ? fate : fates[n])));
    }
    assert.deepEqual(names.filter((_, n) => fates[n] === 'dies'), scenario.dies);
  });
}

test('the pages say so', async () => {
  assert.deepEqual(await table('js.md', 'How it compares'), Object.fromEntries(rows));
  const ours = (fates) => Object.fromEntries(Object.entries(fates).map(([row, [fate]]) => [row, fate]));
  assert.deepEqual(ours(await table('tokensource.md')), ours(Object.fromEntries(rows)), 'the results are those of tokensource');
});

test.after(() => {
  if (!process.env.PRINT) return;
  const widths = printed[0].map((_, column) => Math.max(...printed.map((cells) => cells[column].length)) + 2);
  console.log('\n' + printed.map((cells) => cells.map((cell, n) => cell.padEnd(widths[n])).join('').trimEnd()).join('\n'));
});

// Every planted bug is found by the checker of the invariant that it breaks, and by
// no other; without it the same seeds pass. All bugs have the same range of seeds, from
// 1, so that none is chosen to fit. Only fleets that live for days cost so much more
// that theirs is shorter.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { invariants, invariantText, sabotages } from '#apps/simulator/mod.ts';
import { runSimulator } from './run-simulator.ts';

const short = ['--seeds', '1..20', '--minutes', '6', '--nodes', '3'];
const long = ['--seeds', '1..6', '--long'];
const restored = ['--seeds', '1..20', '--restored'];
/** By name, what issue and reference promise at least. */
const promised = [
  'acknowledge-before-sync',
  'skip-a-version-check',
  'drop-a-watch-event',
  'reuse-a-sequence',
  'forget-a-fence',
  'restart-an-adopted-pod',
  'absence-as-deletion',
  'reuse-a-join-token',
  'lose-the-outbox-on-a-full-disk',
  'apply-out-of-sequence',
  'forget-a-tombstone',
  'ignore-an-fsync-error',
];

test('the promised bugs are there, their names differ, and every invariant has one', async () => {
  const names = sabotages.map(({ name }) => name);
  assert.equal(new Set(names).size, names.length);
  assert.deepEqual(
    promised.filter((name) => !names.includes(name)),
    [],
  );
  const broken = new Set(sabotages.map(({ invariant }) => invariant.number));
  const whole = Object.values(invariants).filter(({ number }) => !broken.has(number));
  assert.deepEqual(whole, []);
  const { exitCode, output } = await runSimulator(['--sabotage', 'list']);
  assert.equal(exitCode, 0);
  for (const name of names) assert.match(output, new RegExp(`^${name} `, 'm'));
  const reference = readFileSync(
    join(import.meta.dirname, '../../docs/reference/invariants.md'),
    'utf8',
  );
  for (const { name, what, invariant } of sabotages) {
    const row = `\\| \`${name}\` +\\| ${what} +\\| ${invariant.number} +\\|`;
    assert.match(reference, new RegExp(row), 'the reference has a row for it');
  }
  for (const { number, name } of Object.values(invariants)) {
    assert.match(reference, new RegExp(`\\| ${number} +\\| \`${name}\` `));
  }
});

test('without a planted bug the same seeds pass', async () => {
  // Those that live long or have their server replaced are run by simulation.test.ts.
  const { exitCode, output } = await runSimulator(short);
  assert.equal(exitCode, 0, output);
});

for (const { name, what, invariant, isLong, isRestored } of sabotages) {
  const wanted = invariantText(invariant);
  test(`a program that ${what} breaks ${wanted}`, async () => {
    const words = isLong === true ? long : isRestored === true ? restored : short;
    const { exitCode, output } = await runSimulator([...words, '--sabotage', name, '--fail-fast']);
    assert.equal(exitCode, 1, output);
    const named = Array.from(output.matchAll(/^ {2}(.*) violated at /gm), ([, text]) => text);
    assert.deepEqual(named, [wanted], output);
    assert.match(
      output,
      new RegExp(`to see it again: npm run sim -- --seed .* --sabotage ${name}`),
    );
  });
}

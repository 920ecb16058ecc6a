// Whole fleets over virtual time: what was declared is there in the end, whatever
// happened on the way, and a seed tells the same story every time.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { runSimulator } from './run-simulator.ts';

/** The seeds are fixed, and the same as the planted bugs are looked for in. */
const fleets = ['--minutes', '6', '--nodes', '3'];
/** As a summary names them: what networks, disks, processes and clocks do. */
const faultNames = [
  ...['messages lost and sent again', 'messages late', 'messages overtaken', 'answers lost'],
  ...['links cut both ways', 'links cut one way', 'links reset', 'links silenced'],
  ...['writes lost', 'writes torn', 'syncs failed', 'disks full', 'disks slow'],
  ...['agents crashed', 'server crashed', 'nodes without power', 'server without power'],
  ...['agents frozen', 'server frozen', 'clocks jumped', 'clocks drifting'],
];
const seedsPattern = /^seed \d+ replicas \d+ events \d+ trace ([0-9a-f]{64})$/gm;

test('a hundred fixed seeds converge, each twice by the same way', async () => {
  const { exitCode, output } = await runSimulator(['--seeds', '1..100', '--twice', ...fleets]);
  assert.equal(exitCode, 0, output);
  const traces = Array.from(output.matchAll(seedsPattern), ([, trace]) => trace);
  assert.equal(traces.length, 100, output);
  assert.equal(new Set(traces).size, 100, 'another seed is another story');
  const count = (what: string): number =>
    Number(new RegExp(`(?:^|, ?)\\s*${what} (\\d+)`, 'm').exec(output)?.[1]);
  // A run in which no sync was lost or torn has shown nothing of what disks do.
  for (const fault of ['writes lost', 'writes torn', 'syncs failed']) {
    assert.ok(count(fault) > 0, `${fault}: ${output}`);
  }
});

test('fleets that outlive their certificates converge as well', async () => {
  const { exitCode, output } = await runSimulator(['--seeds', '1..6', '--long']);
  assert.equal(exitCode, 0, output);
  const renewedLate = /renewed after their end (\d+)/.exec(output)?.[1];
  assert.ok(Number(renewedLate) > 0, output);
});

test('fleets whose server is replaced by a backup, and comes back, converge as well', async () => {
  const { exitCode, output } = await runSimulator(['--seeds', '1..20', '--restored', '--twice']);
  assert.equal(exitCode, 0, output);
});

test('a seed says how often each fault struck', async () => {
  const { exitCode, output } = await runSimulator(['--seed', '7', ...fleets]);
  assert.equal(exitCode, 0, output);
  const told = [...output.matchAll(/(?:, |: |^ +)([a-z][a-z ]+) (\d+)(?=,|$)/gm)];
  const names = told.map(([, name]) => name);
  for (const name of faultNames) assert.ok(names.includes(name), `${name}: ${output}`);
});

test('wrong words are refused with what was wrong with them', async () => {
  const wrong: readonly (readonly [string, RegExp])[] = [
    ['--seed x', /^--seed takes a whole number from 0 to \d+, not 'x'$/m],
    ['--seeds 5..2', /^--seeds takes a range such as 1\.\.50, not '5\.\.2'$/m],
    ['--seed 1 --seeds 1..2', /^either --seed or --seeds$/m],
    ['--sabotage nothing', /^--sabotage takes list or one of .*; not 'nothing'$/m],
    ['--minutes 0', /^--minutes takes a whole number from 1 to \d+, not '0'$/m],
    ['--weather fair', /^Unknown option '--weather'$/m],
    ['fair', /^Unexpected argument 'fair'$/m],
    ['--seeds 1..2 --verbose', /^--verbose takes one --seed$/m],
  ];
  const answers = await Promise.all(wrong.map(([words]) => runSimulator(words.split(' '))));
  for (const [index, [words, message]] of wrong.entries()) {
    assert.equal(answers[index]?.exitCode, 2, words);
    assert.match(answers[index].output, message);
  }
  const help = await runSimulator(['--help']);
  assert.equal(help.exitCode, 0);
  assert.match(help.output, /^usage: npm run sim -- /);
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Argument, Command, Option } from 'commander';
import { candidatesFor } from './completion.ts';

function programOfTest(): Command {
  const program = new Command('selvage');
  program.command('up').option('--fresh').option('--state <folder>');
  program
    .command('status')
    .addOption(new Option('-o, --output <format>').choices(['text', 'json', 'yaml']));
  const lab = program.command('lab');
  lab.command('kill').argument('<name>');
  program.command('completion').addArgument(new Argument('<shell>').choices(['bash', 'zsh']));
  program.command('__complete', { hidden: true });
  return program;
}

const names = (what: string): Promise<string[]> =>
  Promise.resolve(what === 'kill name' ? ['server', 'mill-1', 'mill-2'] : []);

async function words(...typed: string[]): Promise<string[]> {
  const { candidates } = await candidatesFor(programOfTest(), typed, names);
  return candidates.map(({ word }) => word);
}

test('commands are offered by what they begin with, and hidden ones never', async () => {
  assert.deepEqual(await words(''), ['up', 'status', 'lab', 'completion', 'help']);
  assert.deepEqual(await words('st'), ['status']);
  assert.deepEqual(await words('__'), []);
});

test('options of the command that was named are offered, and their choices behind them', async () => {
  assert.deepEqual(await words('up', '--'), ['--fresh', '--state', '--help']);
  assert.deepEqual(await words('status', '-o', ''), ['text', 'json', 'yaml']);
  assert.deepEqual(await words('status', '--output=j'), ['--output=json']);
});

test('names of the fleet stand for an argument, and choices where it has some', async () => {
  assert.deepEqual(await words('lab', 'kill', 'm'), ['mill-1', 'mill-2']);
  assert.deepEqual(await words('completion', 'z'), ['zsh']);
  assert.deepEqual(await words('lab', 'kill', 'server', ''), []);
});

test('a path is left to the shell', async () => {
  const { isFile, candidates } = await candidatesFor(
    programOfTest(),
    ['up', '--state', '/t'],
    names,
  );
  assert.ok(isFile);
  assert.deepEqual(candidates, []);
});

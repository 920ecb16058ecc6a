import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readCommandLine } from './command-options.ts';

const description = {
  summary: 'Measures one thing.',
  options: {
    rounds: { value: 'N', fallback: 5, least: 1, meaning: 'how often' },
    only: { value: 'TEXT', fallback: '', meaning: 'those alone whose name begins so' },
    jobs: { value: 'J', fallback: 2, least: 1, meaning: 'at once', otherwise: 'one for each core' },
  },
} as const;

const read = (...line: string[]) => readCommandLine(line, 'npm run it --', description);

test('options have their values, and what is not given its fallback', () => {
  const values = { rounds: 7, only: '--x', jobs: 2 };
  assert.deepEqual(read('--rounds', '7', '--only=--x'), { values, words: [] });
});

test('--help prints each option with what holds without it', () => {
  assert.deepEqual(read('--rounds', '7', '--help'), {
    exitCode: 0,
    text: [
      'usage: npm run it -- [options]',
      '',
      'Measures one thing.',
      '',
      '  --rounds=N   how often (5)',
      '  --only=TEXT  those alone whose name begins so',
      '  --jobs=J     at once (one for each core)',
      '  --help       this',
    ].join('\n'),
  });
});

test('a wrong word is refused in one line that names it', () => {
  const wrong: readonly (readonly [readonly string[], RegExp])[] = [
    [['--round', '7'], /^Unknown option '--round' \(npm run it -- --help/],
    [['--rounds', '0'], /^--rounds takes a whole number from 1, not '0' \(/],
    [['--rounds', 'many'], /^--rounds takes a whole number from 1, not 'many' \(/],
    [['--rounds'], /^Option '--rounds <value>' argument missing \(/],
    [['--only', '--x'], /^Option '--only' argument is ambiguous \(/],
    [['word'], /^Unexpected argument 'word'/],
  ];
  for (const [line, words] of wrong) {
    const answer = read(...line);
    assert.ok('exitCode' in answer && answer.exitCode === 2, line.join(' '));
    assert.match(answer.text, words);
    assert.ok(!answer.text.includes('\n'), answer.text);
  }
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { CliContext } from './context.ts';
import { showCount } from './progress.ts';

function printedBy(isTerminal: boolean): string {
  let printed = '';
  const standardOutput = {
    isTerminal,
    columns: 80,
    rows: 24,
    write(text: string) {
      printed += text;
    },
  };
  const context = { standardOutput } as unknown as CliContext;
  for (const count of [0, 1, 2]) showCount(context, count, 2, 'nodes ready');
  return printed;
}

test('a start is a bar that fills on a terminal, and a line for each step elsewhere', () => {
  assert.equal(
    printedBy(false),
    '· 0 of 2 nodes ready\n· 1 of 2 nodes ready\n· 2 of 2 nodes ready\n',
  );
  const [begin, half, end] = printedBy(true).split('\r\u001b[K').slice(1);
  assert.equal(begin, `· [${'.'.repeat(24)}] 0 of 2 nodes ready`);
  assert.equal(half, `· [${'#'.repeat(12)}${'.'.repeat(12)}] 1 of 2 nodes ready`);
  assert.equal(end, '· 2 of 2 nodes ready\n');
});

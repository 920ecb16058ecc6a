import assert from 'node:assert/strict';
import { test } from 'node:test';
import { workloadCommand } from './workload.ts';

const flags = [
  '/runtime/node',
  '--permission',
  '--allow-fs-read=/app',
  '--allow-fs-read=/tmp',
  '--allow-fs-write=/tmp',
];

test('a command is a module of the bundle, or node and what follows it, within the same bounds', () => {
  assert.deepEqual(workloadCommand(['main.mjs', 'x']), [...flags, '/app/main.mjs', 'x']);
  assert.deepEqual(workloadCommand(['node', 'main.mjs']), [...flags, 'main.mjs']);
  assert.deepEqual(workloadCommand(['node', '-e', '1']), [...flags, '-e', '1']);
});

test('a command cannot widen what its container may do', () => {
  for (const word of [
    '--allow-fs-read=/etc',
    '--allow-child-process',
    '--no-permission',
    '--no-experimental-permission',
  ]) {
    assert.throws(() => workloadCommand(['node', word, 'main.mjs']), {
      code: 'RUNTIME_BAD_COMMAND',
      message: new RegExp(word.slice(0, 8)),
    });
  }
  assert.throws(() => workloadCommand(['/bin/bash', '-c', 'true']), {
    code: 'RUNTIME_BAD_COMMAND',
  });
});

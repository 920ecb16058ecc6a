import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decodeLaunch, encodeLaunch } from './launch.ts';

const launch = {
  runtime: '/runtime',
  bundle: '/bundle',
  mounts: [],
  workingDirectory: '/app',
  userId: 100_001,
  hostname: 'pod',
  temporaryBytesMax: 1_024,
  environment: { TEXT: "a 'quoted'\nvalue" },
  command: ['/runtime/node', '--permission', '/app/main.mjs', "it's", '--node-optionen'],
};

test('a launch record says what it was told', () => {
  const read = decodeLaunch(encodeLaunch(launch));
  assert.deepEqual(
    [read.command, read.environment, read.userId],
    [launch.command, launch.environment, launch.userId],
  );
});

test('no word reaches the Node.js of a single executable before its permissions do', () => {
  for (const word of ['--node-options=--require=/app/x.cjs', '--node-options']) {
    const command = [...launch.command, word];
    assert.throws(() => encodeLaunch({ ...launch, command }), /no container is given the word/);
  }
});

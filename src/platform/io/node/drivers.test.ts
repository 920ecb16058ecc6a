/** The real drivers against the suites of their ports. */
import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as pass } from 'node:timers/promises';
import { datagramsContract } from '../datagrams.contract.ts';
import { diskContract } from '../disk.contract.ts';
import { httpContract } from '../http.contract.ts';
import { keysContract } from '../keys.contract.ts';
import { netContract } from '../net.contract.ts';
import { plainNetContract } from '../plain-net.contract.ts';
import { spawnContract, type ContractProgram } from '../spawn.contract.ts';
import { timersContract } from '../timers.contract.ts';
import {
  createNodeClock,
  createNodeDatagrams,
  createNodeDisk,
  createNodeHttpClient,
  createNodeHttpServer,
  createNodeKeys,
  createNodeNet,
  createNodePlainNet,
  createNodeRandom,
  createNodeSpawn,
  createNodeTimers,
  createStreamLogger,
} from './mod.ts';
import { parseProcessStat } from './spawn.ts';

const passTime = async (durationMs: number): Promise<void> => {
  await pass(durationMs);
};
const close = async (): Promise<void> => {};
const folder = (): Promise<string> => mkdtemp(join(tmpdir(), 'selvage-io-'));

diskContract('node', async () => {
  const root = await folder();
  return {
    disk: createNodeDisk(join(root, 'state')),
    close: () => rm(root, { recursive: true, force: true }),
  };
});

timersContract('node', async () => ({
  clock: createNodeClock(),
  timers: createNodeTimers(),
  passTime,
  close,
}));

keysContract('node', async () => ({ keys: createNodeKeys(), close }));

netContract('node', async () => ({
  serverNet: createNodeNet(),
  clientNet: createNodeNet(),
  host: '127.0.0.1',
  keys: createNodeKeys(),
  clock: createNodeClock(),
  passTime,
  close,
}));

plainNetContract('node', async () => ({
  net: createNodePlainNet(),
  host: '127.0.0.1',
  passTime,
  close,
}));

datagramsContract('node', async () => ({
  datagrams: createNodeDatagrams(),
  host: '127.0.0.1',
  passTime,
  close,
}));

httpContract('node', async () => ({
  server: createNodeHttpServer(),
  client: createNodeHttpClient(),
  host: '127.0.0.1',
  keys: createNodeKeys(),
  clock: createNodeClock(),
  passTime,
  close,
}));

const scripts: Readonly<Record<ContractProgram, string>> = {
  'report-and-exit-3':
    'printf "%s|%s|%s\\n" "$(cat)" "$GREETING" "$HOME"; echo problem >&2; exit 3',
  'run-on': 'exec sleep 600',
  'ignore-sigterm': "trap '' TERM; echo ready; exec sleep 600",
};

spawnContract('node', async () => {
  const root = await folder();
  return {
    spawn: createNodeSpawn(),
    programOf: (program) => ({
      program: '/bin/sh',
      arguments: ['-c', scripts[program]],
      environment: {},
      workingDirectory: '/',
    }),
    outputPath: (name) => join(root, name),
    readOutput: (name) => readFile(join(root, name), 'utf8'),
    passTime,
    close: () => rm(root, { recursive: true, force: true }),
  };
});

test('a command with parentheses and blanks does not confuse the process table', () => {
  const fields = Array.from({ length: 50 }, (_, index) => index + 4).join(' ');
  assert.deepEqual(parseProcessStat(7, `7 (a) R 9 (b\n) S ${fields}\n`), {
    pid: 7,
    parentPid: 4,
    startTicks: 22,
    command: 'a) R 9 (b\n',
    isZombie: false,
  });
});

test('random numbers stay in their bounds and differ', () => {
  const random = createNodeRandom();
  assert.equal(random.bytes(16).length, 16);
  assert.notDeepEqual(random.bytes(16), random.bytes(16));
  for (let round = 0; round < 200; round += 1) {
    const [unit, below] = [random.unit(), random.below(3)];
    assert.ok(unit >= 0 && unit < 1);
    assert.ok([0, 1, 2].includes(below));
  }
  assert.match(
    random.uuid(),
    /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/,
  );
});

test('log lines are JSON, filtered by level, and keep their own fields', () => {
  const lines: string[] = [];
  const logger = createStreamLogger((line) => lines.push(line), 'info').with({ role: 'agent' });
  const circular: Record<string, unknown> = {};
  circular['self'] = circular;
  logger.log('debug', 'not written');
  logger.log('warn', 'written', { message: 'not replaced', cause: new Error('why') });
  logger.log('info', 'odd', { circular });
  logger.log('info', 'large', { text: 'x'.repeat(100_000) });
  const parsed = lines.map((line) => JSON.parse(line) as Record<string, unknown>);
  assert.equal(parsed.length, 3);
  const { time, ...rest } = parsed[0] ?? {};
  assert.match(String(time), /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
  assert.deepEqual(rest, {
    level: 'warn',
    message: 'written',
    role: 'agent',
    cause: { error: 'why' },
  });
  assert.equal(parsed[1]?.['message'], 'odd');
  assert.ok((lines[2]?.length ?? 0) < 1_000);
});

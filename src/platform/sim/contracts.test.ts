import { textOf } from '#base/mod.ts';
import { datagramsContract } from '../io/datagrams.contract.ts';
import { diskContract } from '../io/disk.contract.ts';
import { httpContract } from '../io/http.contract.ts';
import { keysContract } from '../io/keys.contract.ts';
import { netContract } from '../io/net.contract.ts';
import { plainNetContract } from '../io/plain-net.contract.ts';
import { spawnContract, type ContractProgram } from '../io/spawn.contract.ts';
import { timersContract } from '../io/timers.contract.ts';
import { sleep, type ProcessSpec } from '#platform/io/mod.ts';
import { createWorld, type SimProgram, type World } from './mod.ts';

const caseLimitMs = 120_000;

function openWorld(): World {
  return createWorld({
    seed: 4711,
    drainMicrotasks: () => new Promise((resolve) => setImmediate(resolve)),
  });
}

const harnessOf = (world: World) => ({
  close: async (): Promise<void> => {},
  passTime: (durationMs: number): Promise<void> => sleep(world.timers, durationMs),
  run: <Result>(body: () => Promise<Result>): Promise<Result> => world.settle(body(), caseLimitMs),
});

timersContract('simulated', async () => {
  const world = openWorld();
  const { clock, timers } = world.host('a').ports;
  return { ...harnessOf(world), clock, timers };
});

diskContract('simulated', async () => {
  const world = openWorld();
  const host = world.host('a');
  const cutPower = async () => {
    host.crashMachine();
    return host.boot().disk;
  };
  return { ...harnessOf(world), disk: host.ports.disk, cutPower };
});

keysContract('simulated', async () => {
  const world = openWorld();
  return { ...harnessOf(world), keys: world.host('a').ports.keys };
});

netContract('simulated', async () => {
  const world = openWorld();
  const { net: serverNet, keys, clock } = world.host('hub').ports;
  const { net: clientNet } = world.host('node').ports;
  return { ...harnessOf(world), serverNet, clientNet, host: 'hub', keys, clock };
});

plainNetContract('simulated', async () => {
  const world = openWorld();
  return { ...harnessOf(world), net: world.host('a').ports.plainNet, host: '127.0.0.1' };
});

datagramsContract('simulated', async () => {
  const world = openWorld();
  return { ...harnessOf(world), datagrams: world.host('a').ports.datagrams, host: '127.0.0.1' };
});

httpContract('simulated', async () => {
  const world = openWorld();
  const { httpServer: server, keys, clock } = world.host('api').ports;
  const { httpClient: client } = world.host('user').ports;
  return { ...harnessOf(world), server, client, host: 'api', keys, clock };
});

const contractPrograms: readonly SimProgram[] = [
  {
    name: 'report-and-exit-3',
    matches: (spec) => spec.program === '/programs/report-and-exit-3',
    run: (process) => {
      const { stdin, environment } = process.spec;
      const said = [
        textOf(stdin ?? new Uint8Array(0)),
        environment['GREETING'],
        environment['HOME'],
      ];
      const report = async (): Promise<void> => {
        await process.print('stdout', `${said.map((part) => part ?? '').join('|')}\n`);
        await process.print('stderr', 'problem\n');
        process.exit(3);
      };
      void report();
    },
  },
  {
    name: 'run-on',
    matches: (spec) => spec.program === '/programs/run-on',
    run: () => {},
  },
  {
    name: 'ignore-sigterm',
    matches: (spec) => spec.program === '/programs/ignore-sigterm',
    run: (process) => {
      process.onSignal('SIGTERM', () => {});
      void process.print('stdout', 'ready\n');
    },
  },
];

spawnContract('simulated', async () => {
  const world = openWorld();
  world.programs.unshift(...contractPrograms);
  const { spawn, disk } = world.host('a').ports;
  return {
    ...harnessOf(world),
    spawn,
    programOf: (program: ContractProgram): ProcessSpec => ({
      program: `/programs/${program}`,
      arguments: [],
      environment: {},
      workingDirectory: '/',
    }),
    outputPath: (name: string) => disk.absolute(name),
    readOutput: async (name: string) =>
      textOf((await disk.readFile(name, 65_536)) ?? new Uint8Array(0)),
  };
});

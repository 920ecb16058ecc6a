import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { checkDamage } from './helpers/damaged-log.ts';
import { projectFolder } from './helpers/fleet.ts';
import { sampleOf, sweep, watchCalls } from './helpers/disk-sweep.ts';
import { Ledger, type Refusal } from './helpers/ledger.ts';
import { injection, readiness, startReadyServer, startServer } from './helpers/traced-server.ts';

const apiPort = 21443 + (process.pid % 500) * 8;
const lanes = 2;
const callsMax = 500;
const clients = 8;

function statusOf(refusal: Refusal | undefined): { code: number; reason: string; message: string } {
  assert.ok(refusal !== undefined, 'something was refused');
  const status = JSON.parse(refusal.text) as Record<string, unknown>;
  assert.equal(status['kind'], 'Status');
  return {
    code: Number(status['code']),
    reason: String(status['reason']),
    message: String(status['message']),
  };
}

/** `npm run test:soak -- disk` does all 500 points. */
test('a busy server killed at a call to its disk starts again with every acknowledged write', async () => {
  const points = sampleOf(await watchCalls(apiPort, callsMax));
  const results = await sweep(points, apiPort, lanes, () => {});
  assert.deepEqual(
    results.filter(({ differences }) => differences.length > 0),
    [],
  );
  const reached = results.filter(({ wasReached }) => wasReached).length;
  assert.ok(reached >= points.length - 2, `${reached} of ${points.length} points were reached`);
  assert.ok(results.some(({ wasReady }) => !wasReady) && results.some(({ wasReady }) => wasReady));
});

for (const count of [40, 120]) {
  test(`sync ${count} fails with EIO: the server says so, reads go on, and a restart has everything`, async () => {
    const folder = mkdtempSync(join(tmpdir(), 'selvage-eio-'));
    const place = { stateFolder: join(folder, 'state'), apiPort };
    // The audit log and snapshots are synced too, and what fails of those is theirs alone.
    const log = join(place.stateFolder, 'store', 'log', 'segment-0000000000000001.log');
    const strace = ['-P', log, ...injection('fdatasync', 'error=EIO', count)];
    let server = await startServer(place, strace);
    try {
      assert.ok(server.isReady, server.output());
      // Blobs are synced too, and their failures are theirs alone.
      const ledger = new Ledger({ pushesBlobs: false });
      const deadline = Date.now() + 30_000;
      await ledger.work(server.kubeconfig, clients, () => Date.now() > deadline);
      assert.ok(ledger.acknowledged > 10, `${ledger.acknowledged} were acknowledged before`);
      const told = statusOf(ledger.refusals[0]);
      assert.deepEqual([told.code, told.reason], [503, 'ServiceUnavailable']);
      assert.match(told.message, /a write to its disk failed.*restart the server/);
      assert.equal(server.hasEnded(), false);
      assert.equal(await readiness(server), 503);
      // Every later write is refused alike, and what readers see is what was acknowledged.
      const refusedBefore = ledger.refusals.length;
      await ledger.work(server.kubeconfig, clients, () => Date.now() > deadline);
      assert.ok(ledger.refusals.length > refusedBefore);
      assert.ok(ledger.refusals.every(({ status }) => status === 503));
      assert.deepEqual(await ledger.differencesWhileRunning(server.kubeconfig), []);
      await server.kill();
      server = await startReadyServer(place);
      assert.equal(await readiness(server), 200);
      assert.deepEqual(await ledger.differences(server.kubeconfig), []);
    } finally {
      await server.kill();
      rmSync(folder, { recursive: true, force: true });
    }
  });
}

test('a sync of the audit log fails: requests go on, and what it was told is written again', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'selvage-eio-audit-'));
  const place = { stateFolder: join(folder, 'state'), apiPort };
  const first = join(place.stateFolder, 'audit', 'audit-0000000000000001.jsonl');
  const strace = ['-P', first, ...injection('fdatasync', 'error=EIO', 3)];
  const server = await startServer(place, strace);
  try {
    assert.ok(server.isReady, server.output());
    const ledger = new Ledger({ pushesBlobs: false });
    const deadline = Date.now() + 30_000;
    const isEnough = (): boolean =>
      server.output().includes('audit log: it is written again') || Date.now() > deadline;
    await ledger.work(server.kubeconfig, clients, isEnough);
    assert.match(server.output(), /audit log: it cannot be written; requests go on/);
    assert.match(server.output(), /audit log: it is written again/);
    assert.deepEqual(ledger.refusals, []);
    assert.equal(await readiness(server), 200);
    const words = ['audit', 'verify', '--state', place.stateFolder];
    const verified = spawnSync(join(projectFolder, 'selvage'), words, { encoding: 'utf8' });
    assert.equal(verified.status, 0, verified.stdout + verified.stderr);
    assert.ok(
      Number(/(\d+) lines/.exec(verified.stdout)?.[1]) > ledger.acknowledged / 2,
      verified.stdout,
    );
  } finally {
    await server.kill();
    rmSync(folder, { recursive: true, force: true });
  }
});

test('a full disk: writes are refused with 507 and what to do, reads go on, and it recovers', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'selvage-full-'));
  const mountPoint = join(folder, 'small');
  mkdirSync(mountPoint);
  const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=12m', 'tmpfs', mountPoint]);
  assert.equal(mounted.status, 0, `a small tmpfs can be mounted: ${String(mounted.stderr)}`);
  const filler = join(mountPoint, 'filler');
  const place = { stateFolder: join(mountPoint, 'state'), apiPort };
  let server = await startReadyServer(place);
  try {
    const ledger = new Ledger();
    const deadline = Date.now() + 60_000;
    const work = (): Promise<void> =>
      ledger.work(server.kubeconfig, clients, () => Date.now() > deadline);
    let left = 300;
    await ledger.work(server.kubeconfig, clients, () => (left -= 1) < 0);
    fill(filler);
    await work();
    const refused = ledger.refusals.find(({ text }) => text.includes('"Status"'));
    const told = statusOf(refused);
    assert.deepEqual([told.code, told.reason], [507, 'InsufficientStorage']);
    assert.match(told.message, /make room under its state folder and try again/);
    assert.ok(ledger.refusals.every(({ status }) => status === 507));
    assert.equal(await readiness(server), 200);
    assert.deepEqual(await ledger.differencesWhileRunning(server.kubeconfig), []);

    // A restart on the full disk reads on, and refuses on.
    await server.kill();
    server = await startReadyServer(place);
    assert.deepEqual(await ledger.differences(server.kubeconfig), []);
    await work();
    assert.ok(ledger.refusals.every(({ status }) => status === 507));

    rmSync(filler);
    const before = ledger.acknowledged;
    left = 200;
    const refusals = ledger.refusals.length;
    await ledger.work(server.kubeconfig, clients, () => (left -= 1) < 0);
    assert.equal(ledger.refusals.length, refusals, ledger.refusals.at(-1)?.text);
    assert.ok(ledger.acknowledged >= before + 150);
    await server.kill();
    server = await startReadyServer(place);
    assert.deepEqual(await ledger.differences(server.kubeconfig), []);
  } finally {
    await server.kill();
    spawnSync('umount', [mountPoint]);
    rmSync(folder, { recursive: true, force: true });
  }
});

/** Takes all the room that there is. */
function fill(path: string): void {
  const piece = Buffer.alloc(4096, 'f');
  for (;;) {
    try {
      writeFileSync(path, piece, { flag: 'a' });
    } catch (thrown) {
      assert.ok(thrown instanceof Error && 'code' in thrown && thrown.code === 'ENOSPC');
      return;
    }
  }
}

/** `npm run test:soak -- disk` damages every byte. */
test('a damaged byte of a 64 KiB log is refused with its place, and never read as something else', async () => {
  const { tried, refused } = await checkDamage(13);
  assert.ok(tried > 5_000, `${tried} bytes were damaged`);
  assert.ok(refused > tried * 0.97, `${refused} of ${tried} were refused`);
});

test('a server does not start on a damaged log: it names file and byte, and changes nothing', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'selvage-damaged-'));
  const place = { stateFolder: join(folder, 'state'), apiPort };
  const server = await startReadyServer(place);
  try {
    let left = 40;
    await new Ledger().work(server.kubeconfig, clients, () => (left -= 1) < 0);
    await server.kill();
    const path = join(place.stateFolder, 'store', 'log', 'segment-0000000000000001.log');
    const damaged = readFileSync(path);
    damaged[1_000] = (damaged[1_000] ?? 0) ^ 4;
    writeFileSync(path, damaged);
    const second = await startServer(place);
    assert.deepEqual([second.isReady, second.exitCode()], [false, 1]);
    const offset = Number(/ is damaged at byte (\d+): /.exec(second.output())?.[1]);
    assert.ok(second.output().includes(`${path} is damaged at byte `), second.output());
    assert.ok(offset > 0 && offset <= 1_000, second.output());
    assert.match(second.output(), /put the state folder back from a backup/);
    assert.deepEqual(readFileSync(path), damaged);
  } finally {
    await server.kill();
    rmSync(folder, { recursive: true, force: true });
  }
});

test('a second server on the same state folder says who holds it and ends with 1', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'selvage-second-'));
  const place = { stateFolder: join(folder, 'state'), apiPort };
  const server = await startReadyServer(place);
  try {
    const second = await startServer({ ...place, apiPort: apiPort + 2 });
    assert.equal(second.isReady, false);
    assert.equal(second.exitCode(), 1);
    assert.match(second.output(), /is in use by the server, pid \d+: one state folder serves one/);
    assert.equal(await readiness(server), 200);
    await server.kill();
    const third = await startReadyServer(place);
    await third.kill();
  } finally {
    await server.kill();
    rmSync(folder, { recursive: true, force: true });
  }
});

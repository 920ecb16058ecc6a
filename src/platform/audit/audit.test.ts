import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { textOf, utf8 } from '#base/mod.ts';
import { type Disk, DiskError, type DiskFile, silentLogger, sleep } from '#platform/io/mod.ts';
import {
  createNodeClock,
  createNodeDisk,
  createNodeRandom,
  createNodeTimers,
} from '#platform/io/node/mod.ts';
import { createWorld } from '#platform/sim/mod.ts';
import {
  type AuditEvent,
  type AuditLog,
  type AuditOptions,
  openAuditLog,
  readAudit,
  verifyAudit,
} from './mod.ts';

const ports = {
  clock: createNodeClock(),
  timers: createNodeTimers(),
  random: createNodeRandom(),
  logger: silentLogger,
};

function eventOf(number: number, words = ''): AuditEvent {
  return {
    kind: 'Event',
    apiVersion: 'audit.k8s.io/v1',
    level: 'Metadata',
    auditID: `test-${number}`,
    stage: 'ResponseComplete',
    requestURI: `/api/v1/namespaces/default/configmaps/object-${number}${words}`,
    verb: 'get',
    user: { username: 'admin', groups: ['system:masters'] },
    sourceIPs: ['127.0.0.1'],
    objectRef: { resource: 'configmaps', namespace: 'default', name: `object-${number}` },
    responseStatus: { metadata: {}, code: 200 },
    requestReceivedTimestamp: '2026-11-22T00:00:00.000000Z',
    stageTimestamp: '2026-11-22T00:00:00.000000Z',
    annotations: { 'authorization.k8s.io/decision': 'allow' },
  };
}

async function withFolder(run: (disk: Disk, folder: string) => Promise<void>): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'selvage-audit-'));
  try {
    await run(createNodeDisk(folder), folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** One life of a server: opens, records, closes in order. */
async function recordAll(disk: Disk, numbers: readonly number[], options: AuditOptions = {}) {
  const log = await openAuditLog({ ...ports, disk }, options);
  for (const number of numbers) log.record(eventOf(number));
  await log.close();
}

async function idsIn(
  disk: Disk,
  onSkipped: (file: string, line: number) => void = (file, line) => assert.fail(`${file}:${line}`),
): Promise<readonly string[]> {
  const ids: string[] = [];
  for await (const entry of readAudit(disk, onSkipped)) {
    if (entry.kind === 'Event') ids.push(entry.auditID);
  }
  return ids;
}

async function marksIn(disk: Disk): Promise<readonly string[]> {
  const marks: string[] = [];
  for await (const entry of readAudit(disk, () => {})) {
    if (entry.kind === 'Mark') marks.push(entry.mark);
  }
  return marks;
}

const upTo = (count: number): readonly number[] => Array.from({ length: count }, (_, at) => at + 1);
const idOf = (number: number): string => `test-${number}`;

async function segmentNames(disk: Disk): Promise<readonly string[]> {
  return (await disk.list('')).map(({ name }) => name).filter((name) => name.startsWith('audit-'));
}

async function rewrite(disk: Disk, name: string, change: (lines: string[]) => string[]) {
  const text = textOf((await disk.readFile(name, 1_000_000)) ?? new Uint8Array(0));
  const lines = change(text.trimEnd().split('\n'));
  await disk.writeFileAtomic(name, utf8(`${lines.join('\n')}\n`));
}

describe('the audit log', () => {
  it('keeps every event in order over segments and restarts, and verifies', () =>
    withFolder(async (disk) => {
      const options = { segmentBytesMax: 5_000 };
      await recordAll(disk, upTo(20), options);
      await recordAll(disk, upTo(40).slice(20), options);
      assert.deepEqual(await idsIn(disk), upTo(40).map(idOf));
      assert.ok((await segmentNames(disk)).length > 1);
      const { fault, declared, lines } = await verifyAudit(disk);
      assert.deepEqual({ fault, declared }, { fault: undefined, declared: [] });
      const marks = await marksIn(disk);
      assert.equal(lines, 40 + marks.length);
      const ofLives = marks.filter((mark) => mark !== 'segment');
      assert.deepEqual(ofLives, ['start', 'stop', 'start', 'stop']);
    }));

  it('lets the oldest segments go beyond what is kept, and says from where it goes on', () =>
    withFolder(async (disk) => {
      const options = { segmentBytesMax: 3_000, retainBytesMax: 12_000 };
      for (let life = 0; life < 8; life += 1) {
        await recordAll(disk, upTo(life * 10 + 10).slice(life * 10), options);
      }
      const ids = await idsIn(disk);
      assert.ok(ids.length > 5 && ids.length < 60, `${ids.length} are kept`);
      assert.equal(ids.at(-1), idOf(80));
      assert.equal((await verifyAudit(disk)).fault, undefined);
      const [oldest = ''] = await segmentNames(disk);
      await disk.remove(oldest);
      assert.match((await verifyAudit(disk)).fault?.what ?? '', /^lines \d+ to \d+ are missing/);
    }));

  it('names the first line of which any byte was changed', () =>
    withFolder(async (disk) => {
      await recordAll(disk, upTo(3));
      const [name = ''] = await segmentNames(disk);
      const bytes = (await disk.readFile(name, 1_000_000)) ?? new Uint8Array(0);
      let line = 1;
      for (const [at, byte] of bytes.entries()) {
        const changed = bytes.slice();
        changed[at] = byte ^ (at % 2 === 0 ? 0x01 : 0x80);
        await disk.writeFileAtomic(name, changed);
        const { fault } = await verifyAudit(disk);
        assert.equal(fault?.file, name, `the byte ${at}`);
        // Without its line feed the last line is one that is being written.
        assert.equal(fault.line, at === bytes.length - 1 ? 0 : line, `the byte ${at}`);
        if (byte === 0x0a) line += 1;
      }
    }));

  it('sees lines that were removed, moved, put in, or made anew behind a change', () =>
    withFolder(async (disk, folder) => {
      for (const life of [0, 1, 2]) {
        await recordAll(disk, upTo(5 * life + 5).slice(5 * life), { segmentBytesMax: 2_000 });
      }
      const names = await segmentNames(disk);
      const [, middle = ''] = names;
      const { head } = await verifyAudit(disk);
      const tamperings: Readonly<Record<string, (copy: Disk) => Promise<unknown>>> = {
        'a line removed': (copy) => rewrite(copy, middle, (lines) => lines.toSpliced(2, 1)),
        'two lines swapped': (copy) =>
          rewrite(copy, middle, ([a = '', b = '', c = '', ...rest]) => [a, c, b, ...rest]),
        'a line twice': (copy) => rewrite(copy, middle, ([a = '', ...rest]) => [a, a, ...rest]),
        'the last line removed': (copy) =>
          rewrite(copy, names.at(-1) ?? '', (lines) => lines.slice(0, -1)),
        'a segment removed': (copy) => copy.remove(middle),
        'the last segment removed': (copy) => copy.remove(names.at(-1) ?? ''),
        'the anchor removed': (copy) => copy.remove('anchor.json'),
        'a log of somebody else in its place': async (copy) => {
          for (const { name } of await copy.list('')) await copy.remove(name);
          await recordAll(copy, upTo(12));
        },
      };
      for (const [what, tamper] of Object.entries(tamperings)) {
        const copy = createNodeDisk(join(folder, what));
        await copy.makeDirectory('');
        for (const { name, kind } of await disk.list('')) {
          if (kind !== 'file') continue;
          const bytes = (await disk.readFile(name, 1_000_000)) ?? new Uint8Array(0);
          await copy.writeFileAtomic(name, bytes);
        }
        assert.equal((await verifyAudit(copy, head)).fault, undefined);
        await tamper(copy);
        assert.notEqual((await verifyAudit(copy, head)).fault, undefined, what);
      }
    }));

  it('goes on behind damage without touching it, and verify still names it', () =>
    withFolder(async (disk) => {
      await recordAll(disk, upTo(4));
      const [name = ''] = await segmentNames(disk);
      await rewrite(disk, name, (lines) => lines.with(3, lines[3]?.replace('admin', 'eve') ?? ''));
      const before = await disk.readFile(name, 1_000_000);
      await recordAll(disk, [5]);
      assert.deepEqual(await disk.readFile(name, 1_000_000), before);
      assert.deepEqual((await idsIn(disk)).at(-1), idOf(5));
      assert.ok((await marksIn(disk)).includes('damage'));
      assert.deepEqual((await verifyAudit(disk)).fault, {
        file: name,
        line: 4,
        what: 'line 4 of the log was changed, or is not the one that followed the line before',
      });
    }));

  it('says what is missing when its end was taken away, for as long as lines are kept', () =>
    withFolder(async (disk) => {
      await recordAll(disk, upTo(4));
      const [name = ''] = await segmentNames(disk);
      await rewrite(disk, name, (lines) => lines.slice(0, 3));
      await recordAll(disk, [5]);
      const { fault } = await verifyAudit(disk);
      assert.match(fault?.what ?? '', /^lines 4 to 7 are missing/);
    }));

  it('lets requests go on when the disk is full, counts what is lost and declares the gap', () =>
    withFolder(async (disk) => {
      const failing = fullDisk(disk);
      const log = await openAuditLog({ ...ports, disk: failing.disk }, { waitingEventsMax: 10 });
      await untilWritten(log);
      failing.isFull = true;
      for (const number of upTo(25)) log.record(eventOf(number));
      while (log.state().failure === undefined) await sleep(ports.timers, 20);
      assert.match(log.state().failure ?? '', /no space/);
      assert.deepEqual([log.state().lost, log.state().waiting], [15, 11]);
      failing.isFull = false;
      await untilWritten(log);
      log.record(eventOf(26));
      await log.close();
      assert.deepEqual(await idsIn(disk), [...upTo(10), 26].map(idOf));
      const { fault, declared } = await verifyAudit(disk);
      assert.equal(fault, undefined);
      assert.match(declared.join(), /: 15 events were not recorded: more waited for the disk/);
    }));

  it('writes what was in flight again when a sync fails', () =>
    withFolder(async (disk) => {
      const failing = fullDisk(disk);
      const log = await openAuditLog({ ...ports, disk: failing.disk });
      await untilWritten(log);
      failing.failSyncs = 2;
      for (const number of upTo(5)) log.record(eventOf(number));
      await untilWritten(log);
      assert.equal(failing.failSyncs, 0);
      log.record(eventOf(6));
      await log.close();
      assert.equal((await verifyAudit(disk)).fault, undefined);
      assert.deepEqual(new Set(await idsIn(disk)), new Set(upTo(6).map(idOf)));
    }));

  it('keeps to a line whatever an event says', () =>
    withFolder(async (disk) => {
      const log = await openAuditLog({ ...ports, disk });
      log.record(eventOf(1, '\n\u2028é💾","annotations":{}}'));
      log.record(eventOf(2, 'x'.repeat(100_000)));
      log.record(eventOf(3));
      await log.close();
      assert.deepEqual(await idsIn(disk), [idOf(1), idOf(3)]);
      const { fault, declared } = await verifyAudit(disk);
      assert.equal(fault, undefined);
      assert.match(declared.join(), /: 1 events were not recorded: larger than a line may be/);
    }));

  for (const seed of [1, 2, 3, 4, 5, 6, 7, 8]) {
    it(`loses no line that was on disk to power cuts and failing syncs, seed ${seed}`, async () => {
      const world = createWorld({
        seed,
        drainMicrotasks: () => new Promise((resolve) => setImmediate(resolve)),
      });
      const host = world.host('server');
      const random = world.random('test');
      const inTime = <Result>(work: Promise<Result>): Promise<Result> =>
        world.settle(work, 600_000);
      const folder = (): Disk => host.ports.disk.within('audit');
      let number = 0;
      let certain = new Set<string>();
      let lost = 0;
      for (let life = 0; life < 12; life += 1) {
        host.faults.syncFailureRate = random.below(4) === 0 ? 0.3 : 0;
        const options = { segmentBytesMax: 8_000 };
        const ports = { ...host.ports, disk: folder() };
        const log = await inTime(openAuditLog(ports, options));
        const ofLife: string[] = [];
        for (let step = 0; step < 8; step += 1) {
          for (let count = random.below(12); count > 0; count -= 1) {
            ofLife.push(idOf((number += 1)));
            log.record(eventOf(number));
          }
          await inTime(sleep(world.timers, random.below(500)));
          if (log.state().waiting === 0) for (const id of ofLife) certain.add(id);
        }
        host.crashMachine();
        host.boot();
        const found = new Set(await inTime(idsIn(folder(), () => {})));
        for (const id of certain) assert.ok(found.has(id), `${id} was on disk`);
        lost += ofLife.filter((id) => !found.has(id)).length;
        certain = found;
      }
      host.faults.syncFailureRate = 0;
      const log = await inTime(openAuditLog({ ...host.ports, disk: folder() }));
      await inTime(log.close());
      assert.equal((await inTime(verifyAudit(folder()))).fault, undefined);
      assert.ok(lost > 0 && certain.size > 100, `${lost} lost, ${certain.size} kept`);
    });
  }
});

async function untilWritten(log: AuditLog): Promise<void> {
  while (log.state().waiting > 0) await sleep(ports.timers, 20);
}

/** The disk with writes that find no room and syncs that fail, while a test wants so. */
function fullDisk(inner: Disk): { readonly disk: Disk; isFull: boolean; failSyncs: number } {
  const faults = { isFull: false, failSyncs: 0 };
  const wrapped = (file: DiskFile): DiskFile => ({
    sizeBytes: () => file.sizeBytes(),
    readAt: (offset, lengthBytes) => file.readAt(offset, lengthBytes),
    truncate: (lengthBytes) => file.truncate(lengthBytes),
    close: () => file.close(),
    async writeAt(offset, parts) {
      if (faults.isFull) throw new DiskError('DISK_NO_SPACE', 'no space is left on the disk');
      await file.writeAt(offset, parts);
    },
    async sync() {
      if (faults.failSyncs > 0) {
        faults.failSyncs -= 1;
        throw new DiskError('DISK_IO', 'the disk failed to sync');
      }
      await file.sync();
    },
  });
  const disk: Disk = {
    ...inner,
    open: async (path, mode, permissions) => wrapped(await inner.open(path, mode, permissions)),
    readFile: (path, maxBytes) => inner.readFile(path, maxBytes),
    writeFileAtomic: (path, bytes, permissions) => inner.writeFileAtomic(path, bytes, permissions),
    list: (path) => inner.list(path),
    makeDirectory: (path, permissions) => inner.makeDirectory(path, permissions),
    rename: (from, to) => inner.rename(from, to),
    remove: (path) => inner.remove(path),
    syncDirectory: (path) => inner.syncDirectory(path),
    freeBytes: () => inner.freeBytes(),
    absolute: (path) => inner.absolute(path),
    within: (path) => inner.within(path),
  };
  return Object.assign(faults, { disk });
}

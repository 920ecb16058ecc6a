/** A node's pods over the real runtime, with the test in the place of the hub. */
import assert from 'node:assert/strict';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { utf8, type JsonObject } from '#base/mod.ts';
import { packScriptImage } from '#engines/image-layout/mod.ts';
import type { PodReport, PodSpec } from '#platform/api/mod.ts';
import { openBlobStore } from '#platform/blobs/mod.ts';
import { DiskError, silentLogger, type Logger } from '#platform/io/mod.ts';
import {
  createNodeClock,
  createNodeDisk,
  createNodeFileTree,
  createNodeChildren,
  createNodePlainNet,
  createNodeProbeNet,
  createNodeRandom,
  createNodeSpawn,
  createNodeTimers,
} from '#platform/io/node/mod.ts';
import type { ObjectKey, StoredObject } from '#platform/store/mod.ts';
import type { Outbox, Replica, ReplicaChange, UpwardEntry } from '#platform/sync/mod.ts';
import { createBlobFetcher } from '../images/blob-fetch.ts';
import { openImageCache, type ImageCache } from '../images/image-cache.ts';
import { combineRuntimes, type RuntimeSet } from '../runtimes/runtime-set.ts';
import { openScriptRuntime } from '../runtimes/script/script-runtime.ts';
import type { HubContact } from '../connection.ts';
import { openSupervisor, type Supervisor } from './supervisor.ts';

/** First numbers of the pods' addresses: other test processes, and other nodes of this one, have their own. */
let networksUsed = 0;
function nextPodNetwork(): string {
  networksUsed += 1;
  return `127.${100 + (process.pid % 100)}.${(Math.floor(process.pid / 100) * 31 + networksUsed) % 250}`;
}

/** A slice in memory, written by the test in the place of a hub. */
class MemoryReplica implements Replica {
  cursor: Replica['cursor'] = undefined;
  readonly epoch = 1;
  readonly #objects = new Map<string, StoredObject>();
  readonly #listeners: ((changes: readonly ReplicaChange[]) => void)[] = [];

  get({ resource, namespace, name }: ObjectKey): StoredObject | undefined {
    return this.#objects.get(`${resource}/${namespace}/${name}`);
  }
  list(resource: string): readonly StoredObject[] {
    return [...this.#objects.values()].filter((object) => object.key.resource === resource);
  }
  onChange(listener: (changes: readonly ReplicaChange[]) => void): void {
    this.#listeners.push(listener);
  }
  change(type: ReplicaChange['type'], object: StoredObject): void {
    this.cursor = { incarnation: 'i', sequence: 1 as never, chainHash: '' };
    const { resource, namespace, name } = object.key;
    if (type === 'put') this.#objects.set(`${resource}/${namespace}/${name}`, object);
    else this.#objects.delete(`${resource}/${namespace}/${name}`);
    for (const listener of this.#listeners) listener([{ type, object }]);
  }
  /** The hub has it, and the slice says so; of itself that changes nothing here. */
  noteReport({ key, uid, report }: Extract<UpwardEntry, { type: 'report' }>): void {
    const object = this.get(key);
    if (object?.uid !== uid) return;
    const facets = { ...object.facets, ...stored(key, uid, { report }).facets };
    this.#objects.set(`${key.resource}/${key.namespace}/${key.name}`, { ...object, facets });
  }
  /** As if its disk had been lost: nothing here, and nothing known to be complete. */
  lose(): void {
    this.cursor = undefined;
    this.#objects.clear();
  }
  follow(): void {}
  close(): Promise<void> {
    return Promise.resolve();
  }
}

function stored(key: ObjectKey, uid: string, facets: Record<string, unknown>): StoredObject {
  const revision = 1 as never;
  return {
    key,
    uid: uid as never,
    createdRevision: revision,
    revision,
    facets: Object.fromEntries(
      Object.entries(facets).map(([facet, value]) => [
        facet,
        { revision, bytes: utf8(JSON.stringify(value)) },
      ]),
    ),
  };
}

function refuseForRoom(): Promise<never> {
  return Promise.reject(new DiskError('DISK_NO_SPACE', 'no space is left (of this test)'));
}

interface Opened {
  readonly images: ImageCache;
  readonly supervisor: Supervisor;
  readonly runtime: RuntimeSet;
}

export async function openNode(programs: Readonly<Record<string, string>>) {
  const podNetwork = nextPodNetwork();
  const folder = mkdtempSync(join(tmpdir(), 'supervisor-'));
  const disk = createNodeDisk(folder);
  await disk.makeDirectory('');
  const [clock, timers, random] = [createNodeClock(), createNodeTimers(), createNodeRandom()];
  const spawn = createNodeSpawn();
  const packed = packScriptImage({
    files: Object.entries(programs).map(([path, text]) => ({
      path,
      bytes: utf8(text),
      mode: 0o644,
    })),
    entrypoint: [Object.keys(programs)[0] ?? ''],
    env: { FROM_IMAGE: 'yes' },
    labels: {},
  });
  await disk.makeDirectory('blobs');
  const blobs = await openBlobStore({ disk: disk.within('blobs'), random });
  for (const bytes of packed.blobs.values()) await blobs.put(bytes);
  const replica = new MemoryReplica();
  const entries: UpwardEntry[] = [];
  let isFull = (): boolean => false;
  const write = disk.writeFileAtomic.bind(disk);
  disk.writeFileAtomic = (...words) => (isFull() ? refuseForRoom() : write(...words));
  const outbox: Outbox = {
    pendingCount: 0,
    put(entry) {
      if (isFull()) return refuseForRoom();
      entries.push(structuredClone(entry));
      if (entry.type === 'report') replica.noteReport(entry);
      return Promise.resolve({ incarnation: 'o', sequence: entries.length });
    },
    declareLoss: () => Promise.resolve(),
    deliver() {},
    close: () => Promise.resolve(),
  };
  /** Told when a test waits in vain. */
  const troubles: string[] = [];
  const logger: Logger = {
    log(level, message, fields) {
      if (level !== 'info' && level !== 'debug')
        troubles.push(`${message} ${JSON.stringify(fields)}`);
    },
    with: () => silentLogger,
  };
  let current: Opened | undefined;
  let contact: HubContact | undefined;
  const key = (name: string): ObjectKey => ({ resource: 'pods', namespace: 'default', name });
  return {
    replica,
    entries,
    /** While this answers true nothing more is kept: no file, no report, no event. */
    fillDisk(isFullNow: () => boolean): void {
      isFull = isFullNow;
    },
    async open(): Promise<Opened> {
      current?.images.close();
      await current?.supervisor.close('leave');
      const ports = { disk, clock, timers, logger };
      const script = await openScriptRuntime(
        { ...ports, spawn, children: createNodeChildren() },
        { javascriptRuntimePath: process.execPath },
      );
      const runtime = combineRuntimes([script]);
      const fetcher = createBlobFetcher({ blobs, timers, session: () => undefined });
      const images = await openImageCache(
        { ...ports, blobs, fetcher },
        { platforms: runtime.platforms },
      );
      const supervisor = await openSupervisor(
        {
          ...ports,
          replica,
          outbox,
          runtime,
          images,
          files: createNodeFileTree(),
          actions: {
            timers,
            plainNet: createNodePlainNet(),
            probeNet: createNodeProbeNet(),
            exec: (key, command) => runtime.exec(key, command),
          },
          contact: () => contact ?? { lastMs: clock.monotonicMs(), linkedSinceMs: 0 },
        },
        { nodeName: 'n1', hostAddress: '127.0.0.1' },
      );
      supervisor.begin();
      current = { supervisor, runtime, images };
      return current;
    },
    /** The agent ends; what runs goes on. */
    async close(): Promise<void> {
      current?.images.close();
      await current?.supervisor.close('leave');
    },
    /** The node ends, with what runs on it. */
    async stop(): Promise<void> {
      current?.images.close();
      await current?.supervisor.close('stop');
    },
    putNode(): void {
      const node = { resource: 'nodes', namespace: '', name: 'n1' };
      replica.change(
        'put',
        stored(node, 'node-1', { assignment: { podCIDR: `${podNetwork}.0/24` } }),
      );
    },
    podOf(
      name: string,
      uid: string,
      spec: Partial<PodSpec> = {},
      metadata: JsonObject = {},
      verdict?: JsonObject,
    ) {
      return stored(key(name), uid, {
        intent: {
          metadata: { name, namespace: 'default', uid, ...metadata },
          spec: { containers: [{ name: 'main', image: 'app:1' }], ...spec },
        },
        assignment: {
          nodeName: 'n1',
          images: {
            'app:1': packed.index.digest,
            'other:1': packed.index.digest,
            'absent:1': `sha256:${'0'.repeat(64)}`,
          },
        },
        ...(verdict === undefined ? {} : { verdict }),
      });
    },
    /** First three numbers of its pods' addresses. */
    podNetwork,
    /** Undefined: the hub answers all the time. */
    setContact(now: HubContact | undefined): void {
      contact = now;
    },
    reports(uid: string): readonly PodReport[] {
      return entries.flatMap((entry) =>
        entry.type === 'report' && entry.uid === uid ? [entry.report as unknown as PodReport] : [],
      );
    },
    /** A pod's folder in which nothing can be read. */
    leaveBehind(uid: string): void {
      mkdirSync(join(folder, 'pods', uid));
      writeFileSync(join(folder, 'pods', uid, 'pod.json'), '{');
    },
    hasVolumes: (uid: string) => existsSync(join(folder, 'pods', uid, '.volumes')),
    folders: () => readdirSync(join(folder, 'pods')),
    /** What the shim is told, on the boot clock. */
    deadline(uid: string): number | undefined {
      const path = join(folder, 'pods', uid, 'main/deadline');
      return existsSync(path) ? Number(readFileSync(path, 'utf8')) : undefined;
    },
    events(uid: string): readonly string[] {
      return entries.flatMap((entry) =>
        entry.type === 'event' && entry.regarding.uid === uid ? [entry.reason] : [],
      );
    },
    messages(uid: string): readonly string[] {
      return entries.flatMap((entry) =>
        entry.type === 'event' && entry.regarding.uid === uid ? [entry.message] : [],
      );
    },
    /** Names of containers, one for each run that began. */
    started(uid: string): readonly string[] {
      return entries.flatMap((entry) =>
        entry.type === 'event' && entry.regarding.uid === uid && entry.reason === 'Started'
          ? [entry.message.replace('Started container ', '')]
          : [],
      );
    },
    /** What its runtime kept of it, as a disk may lose it. */
    loseRun(uid: string, container: string): void {
      rmSync(join(folder, 'pods', uid, container), { recursive: true });
    },
    exitOf: (podUid: string, container: string) =>
      current?.runtime.get({ podUid, container })?.exit,
    log: (uid: string, container: string) =>
      readFileSync(join(folder, 'pods', uid, container, 'log'), 'utf8'),
    pause: (delayMs: number): Promise<void> =>
      new Promise((resolve) => {
        setTimeout(resolve, delayMs);
      }),
    /** Asks the first pod of the node. */
    async ask(path: string): Promise<number> {
      for (let attempt = 1; ; attempt += 1) {
        try {
          return (await fetch(`http://${podNetwork}.1:8080${path}`)).status;
        } catch (error) {
          if (attempt === 50) throw error;
          await this.pause(50);
        }
      }
    },
    async until(what: string, holds: () => boolean): Promise<void> {
      for (let waitedMs = 0; waitedMs < 10_000; waitedMs += 20) {
        if (holds()) return;
        await new Promise((resolve) => {
          setTimeout(resolve, 20);
        });
      }
      assert.fail(
        `not within 10 s: ${what}; ${troubles.slice(-3).join('; ')}; ${JSON.stringify(entries.slice(-3))}`,
      );
    },
    async [Symbol.asyncDispose]() {
      current?.images.close();
      await current?.supervisor.close('stop');
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

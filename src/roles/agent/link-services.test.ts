import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { SelvageError, textOf, utf8 } from '#base/mod.ts';
import { packScriptImage } from '#engines/image-layout/mod.ts';
import { digestOf, openBlobStore, type BlobStore, type Digest } from '#platform/blobs/mod.ts';
import { silentLogger } from '#platform/io/mod.ts';
import {
  createNodeClock,
  createNodeDisk,
  createNodeRandom,
  createNodeTimers,
} from '#platform/io/node/mod.ts';
import {
  createConnectionPair,
  openLink,
  type LinkSession,
  type StreamHandler,
} from '#platform/wire/mod.ts';
import { createBlobFetcher } from './images/blob-fetch.ts';
import { openImageCache, type ImageState } from './images/image-cache.ts';
import { emptyTimes } from './log-times.ts';
import { createPodLogs, tailOffset } from './pod-logs.ts';
import type { ContainerRun, Runtime } from './runtimes/types.ts';

const clock = createNodeClock();
const timers = createNodeTimers();
const random = createNodeRandom();

async function openFolder() {
  const folder = mkdtempSync(join(tmpdir(), 'agent-'));
  const disk = createNodeDisk(folder);
  await disk.makeDirectory('blobs');
  return {
    disk,
    blobs: await openBlobStore({ disk: disk.within('blobs'), random }),
    async [Symbol.asyncDispose]() {
      await Promise.resolve();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** Both ends of a link in memory: `parent` serves streams by `onParent`, `child` by `onChild`. */
async function openPair(onParent: StreamHandler, onChild: StreamHandler) {
  const [parent, child] = createConnectionPair();
  const ports = { clock, timers, logger: silentLogger };
  const [hub, agent] = await Promise.all([
    openLink(
      { ...ports, connection: parent },
      { role: 'parent', product: 'hub', onStream: onParent },
    ),
    openLink(
      { ...ports, connection: child },
      { role: 'child', product: 'agent', onStream: onChild },
    ),
  ]);
  return { hub, agent };
}

/** Serves blobs; cuts a stream after `cutAfterBytes`, once per entry. */
function serveBlobs(
  source: ReadonlyMap<Digest, Uint8Array>,
  cuts: number[],
  seen: string[],
): StreamHandler {
  return (method, { digest, offset }, stream) => {
    assert.equal(method, 'blob.fetch');
    const bytes = source.get(digest as Digest);
    seen.push(`${String(digest).slice(7, 11)}@${String(offset)}`);
    stream.onMessage(() => {});
    if (bytes === undefined) {
      stream.fail({ code: 'BLOB_NOT_FOUND', message: 'no such blob' });
      return;
    }
    const send = async (): Promise<void> => {
      const cut = bytes.length > 100_000 ? cuts.shift() : undefined;
      for (let at = Number(offset); at < (cut ?? bytes.length); at += 16_384) {
        await stream.send(bytes.subarray(at, Math.min(at + 16_384, bytes.length)));
      }
      if (cut === undefined) stream.end();
      else stream.fail({ code: 'CUT', message: 'cut by the test' });
    };
    send().catch(() => {});
  };
}

const refuseAll: StreamHandler = (_method, _parameters, stream) =>
  stream.fail({ code: 'NO', message: 'nothing is served' });

test('a blob is fetched once for all who wait, and goes on where it was cut', async () => {
  await using folder = await openFolder();
  const blob = random.bytes(500_000);
  const digest = digestOf(blob);
  const forged = digestOf(utf8('something else'));
  const seen: string[] = [];
  const source = new Map([
    [digest, blob],
    [forged, utf8('not what its digest says')],
  ]);
  const { agent } = await openPair(serveBlobs(source, [200_000], seen), refuseAll);
  let session: LinkSession | undefined = undefined as LinkSession | undefined;
  const fetcher = createBlobFetcher({ blobs: folder.blobs, timers, session: () => session });
  const ensure = (wanted: Digest, maxBytes: number) => fetcher.ensure(wanted, maxBytes);
  const code = (expected: string) => (thrown: unknown) =>
    thrown instanceof SelvageError && thrown.code === expected;
  await assert.rejects(ensure(digest, 1_000_000), code('IMAGE_UNREACHABLE'));
  session = agent;
  await assert.rejects(ensure(digest, 1_000_000), code('IMAGE_UNREACHABLE'));
  const received: number[] = [];
  const counted = fetcher.ensure(digest, 1_000_000, (bytes) => received.push(bytes));
  await Promise.all([counted, ensure(digest, 1_000_000)]);
  // It goes on where it was cut, and only grows.
  assert.ok((received[0] ?? 0) > 16_384 && received.at(-1) === blob.length, received.join());
  assert.deepEqual(
    received,
    received.toSorted((left, right) => left - right),
  );
  assert.deepEqual(await folder.blobs.readAll(digest, 1_000_000), blob);
  assert.equal(seen.length, 2);
  assert.ok(Number(seen[1]?.split('@')[1]) > 0, seen.join());
  await assert.rejects(ensure(digestOf(utf8('x')), 10), code('IMAGE_INVALID'));
  await assert.rejects(ensure(forged, 1000), (thrown) => {
    assert.match(String(thrown), new RegExp(`not ${forged}; push the image again: selvage image`));
    return code('IMAGE_INVALID')(thrown);
  });
  await assert.rejects(ensure(digest, 10), code('IMAGE_INVALID'));
  agent.close({ code: 'DONE', message: 'done' });
});

async function settled(
  blobs: BlobStore,
  folder: Awaited<ReturnType<typeof openFolder>>,
  digest: Digest,
  platforms: readonly string[],
): Promise<ImageState> {
  const fetcher = createBlobFetcher({ blobs, timers, session: () => undefined });
  const ports = { disk: folder.disk, clock, timers, logger: silentLogger };
  const images = await openImageCache({ ...ports, blobs, fetcher }, { platforms });
  const changed = new Promise<void>((resolve) => {
    images.onChange(() => resolve());
  });
  assert.equal(images.want(digest).status, 'pulling');
  await changed;
  images.close();
  return images.want(digest);
}

test('an image is unpacked whole, or says what is wrong with it', async () => {
  await using folder = await openFolder();
  const { blobs, disk } = folder;
  const { blobs: parts, index } = packScriptImage({
    files: [{ path: 'lib/a.mjs', bytes: utf8('let a'), mode: 0o600 }],
    entrypoint: ['lib/a.mjs', '--flag'],
    env: { A: 'b=c' },
    labels: {},
  });
  for (const bytes of parts.values()) await blobs.put(bytes);
  const good = await settled(blobs, folder, index.digest, ['script/javascript']);
  assert.ok(good.status === 'ready');
  assert.deepEqual(good.image.entrypoint, ['lib/a.mjs', '--flag']);
  assert.deepEqual(good.image.environment, { A: 'b=c' });
  const inside = good.image.bundle.slice(disk.absolute('').length).replace(/^\//, '');
  assert.equal(textOf((await disk.readFile(`${inside}/lib/a.mjs`, 100)) ?? utf8('')), 'let a');

  const other = await settled(blobs, folder, index.digest, ['wasi/wasm']);
  assert.ok(other.status === 'failed');
  assert.match(other.message, /for script\/javascript; this node runs wasi\/wasm/);
  const nonsense = await settled(blobs, folder, await blobs.put(utf8('{}')), ['script/javascript']);
  assert.ok(nonsense.status === 'failed' && !nonsense.isRetryable);
});

test('images that nobody needs make room, and what others share of them stays', async () => {
  await using folder = await openFolder();
  const { blobs, disk } = folder;
  const packed = ['a', 'b', 'c'].map((text) =>
    packScriptImage({
      files: [{ path: 'main.mjs', bytes: utf8(text === 'c' ? 'a' : text), mode: 0o600 }],
      entrypoint: ['main.mjs'],
      env: text === 'c' ? { OTHER: 'yes' } : {},
      labels: {},
    }),
  );
  const puts = async (): Promise<void> => {
    for (const one of packed) for (const bytes of one.blobs.values()) await blobs.put(bytes);
  };
  await puts();
  const fetcher = createBlobFetcher({ blobs, timers, session: () => undefined });
  const ports = { disk, clock, timers, logger: silentLogger };
  const platforms = ['script/javascript'];
  const images = await openImageCache({ ...ports, blobs, fetcher }, { platforms });
  const [a, b, c] = packed.map(({ index }) => index.digest as string);
  assert.ok(a !== undefined && b !== undefined && c !== undefined);
  const ready = async (digest: string): Promise<void> => {
    const changed = new Promise<void>((resolve) => {
      images.onChange((one) => {
        if (one === digest) resolve();
      });
    });
    images.want(digest);
    await changed;
    assert.equal(images.want(digest).status, 'ready');
  };
  for (const digest of [a, b, c]) await ready(digest);
  const partsOf = (at: number) => [...(packed[at]?.blobs.keys() ?? [])] as Digest[];
  const there = async (at: number): Promise<Digest[]> => {
    const found: Digest[] = [];
    for (const part of partsOf(at)) {
      if ((await blobs.sizeBytes(part)) !== undefined) found.push(part);
    }
    return found;
  };
  assert.equal(await images.removeUnused(new Set([a, b, c])), 0);
  assert.equal(await images.removeUnused(new Set([c])), 2);
  assert.deepEqual(await there(2), partsOf(2));
  assert.deepEqual(await there(1), []);
  // Its layer is that of the one that stays.
  assert.deepEqual(
    await there(0),
    partsOf(0).filter((part) => partsOf(2).includes(part)),
  );
  assert.equal((await disk.list('images')).length, 1);
  await puts();
  await ready(b);
  images.close();
});

test('a log is read from its last lines on and followed to the end of its run', async () => {
  await using folder = await openFolder();
  const { disk } = folder;
  const file = await disk.open('log', 'create');
  const lines = Array.from({ length: 20_000 }, (_, index) => `line ${index}\n`);
  await file.writeAt(0, [utf8(lines.join(''))]);
  const rest = async (count: number) => {
    const from = await tailOffset(file, count);
    return textOf(await file.readAt(from, 10_000_000));
  };
  assert.equal(await rest(0), '');
  assert.equal(await rest(2), 'line 19998\nline 19999\n');
  assert.equal(await rest(15_000), lines.slice(5000).join(''));
  assert.equal(await rest(30_000), lines.join(''));

  let run = { podUid: 'u', container: 'c', containerId: '1', exit: undefined } as ContainerRun;
  const runtime = {
    get: ({ podUid }: { podUid: string }) => (podUid === 'u' ? run : undefined),
    logPath: () => 'log',
  } as unknown as Runtime;
  const serve = createPodLogs({
    disk,
    timers,
    clock,
    runtime,
    hasPod: (uid) => uid !== 'absent',
    keeper: {
      cutOf: () => ({ count: 0, fromOffset: 0 }),
      settledCutOf: () => Promise.resolve({ count: 0, fromOffset: 0 }),
      offsetSince: () => Promise.resolve(0),
      timesOf: () => Promise.resolve(emptyTimes('1')),
      timesBefore: () => Promise.resolve(undefined),
    },
  });
  const { hub } = await openPair(refuseAll, (_method, parameters, stream) => {
    serve(parameters, stream);
  });
  const read = (parameters: Record<string, unknown>) =>
    new Promise<string>((resolve) => {
      const stream = hub.open('telemetry', 'pod.logs', parameters);
      let text = '';
      stream.onMessage((bytes) => {
        text += textOf(bytes);
      });
      stream.onClose((failure) => resolve(failure?.code ?? text));
      stream.end();
    });
  assert.equal(await read({ podUid: 'absent', container: 'c' }), 'POD_NOT_FOUND');
  assert.equal(await read({ podUid: 'v', container: 'c' }), 'CONTAINER_NOT_FOUND');
  assert.equal(await read({ podUid: 'u', container: 'c', follow: false }), lines.join(''));
  const followed = read({ podUid: 'u', container: 'c', follow: true, tailLines: 1 });
  timers.after(300, () => {
    void file.writeAt(lines.join('').length, [utf8('last words\n')]).then(() => {
      run = { ...run, exit: { exitCode: 0 } as never };
    });
  });
  assert.equal(await followed, 'line 19999\nlast words\n');
  await file.close();
  hub.close({ code: 'DONE', message: 'done' });
});

/**
 * A log of 64 KiB as a server leaves it when it is killed, with its bytes damaged one
 * after the other. In this process, over the real disk driver.
 */
import assert from 'node:assert/strict';
import {
  closeSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Revision, SelvageError, type Uid, utf8 } from '#base/mod.ts';
import { silentLogger } from '#platform/io/mod.ts';
import { createNodeDisk, createNodeRandom } from '#platform/io/node/mod.ts';
import { openStore, type Store } from '#platform/store/mod.ts';

const logBytes = 64 * 1024;
const objectBytes = 900;
const segmentFile = join('log', 'segment-0000000000000001.log');

function openIn(folder: string): Promise<Store> {
  const disk = createNodeDisk(folder);
  return openStore({ disk, random: createNodeRandom(), logger: silentLogger });
}

/**
 * Damages every `stride`-th byte of the log in turn and opens it. It must be refused with
 * the file and an offset at or before the damage, unless that is in the last record,
 * which nobody can tell from one that was under way: then all before it is there.
 */
export async function checkDamage(
  stride: number,
): Promise<{ readonly tried: number; readonly refused: number }> {
  const folder = mkdtempSync(join(tmpdir(), 'selvage-damage-'));
  try {
    const store = await openIn(folder);
    const path = join(folder, segmentFile);
    let lastStart = 0;
    let count = 0;
    while (readFileSync(path).length < logBytes) {
      lastStart = readFileSync(path).length;
      count += 1;
      await writeObject(store, count);
    }
    // Not closed: a killed server leaves no seal.
    const whole = readFileSync(path);
    let [tried, refused] = [0, 0];
    for (let offset = 0; offset < whole.length; offset += stride) {
      tried += 1;
      setByte(path, offset, (whole[offset] ?? 0) ^ (1 << (tried % 8)));
      const found = await outcomeOf(folder);
      if (typeof found === 'number') {
        assert.ok(offset >= lastStart, `the damage at byte ${offset} was not seen`);
        assert.equal(found, count - 1, `after the damage at byte ${offset}`);
        // The tail was cut, and the close put a seal behind the rest.
        writeFileSync(path, whole);
      } else {
        refused += 1;
        assert.ok(found.startsWith(`${path} is damaged at byte `), found);
        const told = Number(/byte (\d+)/.exec(found)?.[1]);
        assert.ok(told <= offset, `byte ${offset}: ${found}`);
        setByte(path, offset, whole[offset] ?? 0);
      }
    }
    assert.equal(await outcomeOf(folder), count, 'undamaged it opens');
    await store.close();
    return { tried, refused };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function writeObject(store: Store, number: number): Promise<void> {
  const name = `object-${number}`;
  const key = { resource: 'configmaps', namespace: 'default', name };
  const bytes = utf8(JSON.stringify({ data: { value: `${number}`.repeat(objectBytes / 4) } }));
  const uid = `uid-${number}` as Uid;
  await store.transact(() => ({
    changes: [{ type: 'put', key, uid, facet: 'intent', bytes }],
    result: undefined,
  }));
}

/** How many objects the opened store has, each as it was written; or why it was refused. */
async function outcomeOf(folder: string): Promise<number | string> {
  let store: Store;
  try {
    store = await openIn(folder);
  } catch (thrown) {
    if (thrown instanceof SelvageError && thrown.code === 'LOG_DAMAGED') return thrown.message;
    throw thrown;
  }
  const count = store.list('configmaps').length;
  assert.equal(store.revision, count as Revision);
  await store.close();
  return count;
}

function setByte(path: string, offset: number, value: number): void {
  const descriptor = openSync(path, 'r+');
  writeSync(descriptor, new Uint8Array([value]), 0, 1, offset);
  closeSync(descriptor);
}

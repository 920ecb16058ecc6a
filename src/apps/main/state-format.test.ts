import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { CommandFailure } from '#apps/cli/mod.ts';
import { silentLogger } from '#platform/io/mod.ts';
import { createNodeDisk } from '#platform/io/node/mod.ts';
import { requireKnownFormat } from './state-format.ts';

test('a folder is noted, opened again and by a later version, and refused when it is newer', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'selvage-format-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const path = join(folder, 'format.json');
  const open = (version: string): Promise<void> =>
    requireKnownFormat(createNodeDisk(folder), version, silentLogger);
  const noted = (): unknown => JSON.parse(readFileSync(path, 'utf8'));

  await open('0.1.0');
  assert.deepEqual(noted(), { formatVersion: 2, writtenBy: '0.1.0' });
  await open('0.2.0');
  assert.deepEqual(noted(), { formatVersion: 2, writtenBy: '0.2.0' });

  const newer = '{"formatVersion": 3, "writtenBy": "9.0.0", "more": true}';
  writeFileSync(path, newer);
  await assert.rejects(open('0.2.0'), (thrown) => {
    assert.ok(thrown instanceof CommandFailure);
    assert.match(thrown.message, /written by selvage 9\.0\.0 in form 3; selvage 0\.2\.0 knows/);
    return true;
  });
  assert.equal(readFileSync(path, 'utf8'), newer, 'nothing was changed');

  for (const damaged of ['', '{', 'null', '{"formatVersion": "two"}']) {
    writeFileSync(path, damaged);
    await open('0.2.0');
    assert.deepEqual(noted(), { formatVersion: 2, writtenBy: '0.2.0' }, damaged);
  }
});

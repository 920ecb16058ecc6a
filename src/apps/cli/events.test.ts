import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseAbout } from './events.ts';

test('--for takes every name of a kind that kubectl takes, and others as they are written', () => {
  for (const kind of ['po', 'pods', 'Pod', 'pod']) {
    assert.deepEqual(parseAbout(`${kind}/db-0`), { kind: 'pod', name: 'db-0' });
  }
  assert.deepEqual(parseAbout('deploy/shop'), { kind: 'deployment', name: 'shop' });
  assert.deepEqual(parseAbout('Gauge/north'), { kind: 'gauge', name: 'north' });
  for (const wrong of ['pod', 'pod/', '/x', 'pod/a/b']) {
    assert.throws(() => parseAbout(wrong), { message: '--for takes KIND/NAME, e.g. pod/web-1.' });
  }
});

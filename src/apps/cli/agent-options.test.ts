import assert from 'node:assert/strict';
import { test } from 'node:test';
import { heartbeatOf } from './agent-options.ts';

test('heartbeats come every 200 ms to a minute, and another interval is refused with both', () => {
  const good = ['200ms', '0.2s', '500ms', '2s', '60s'].map(heartbeatOf);
  assert.deepEqual(good, [200, 200, 500, 2_000, 60_000]);
  for (const bad of ['199ms', '0.1s', '61s', '2', '2m', 'soon', '-1s', '']) {
    assert.throws(() => heartbeatOf(bad), {
      message: `--heartbeat takes a duration from 200ms to 60s, e.g. 2s or 500ms, not '${bad}'.`,
    });
  }
});

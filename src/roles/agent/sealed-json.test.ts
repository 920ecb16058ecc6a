import assert from 'node:assert/strict';
import { test } from 'node:test';
import { textOf, utf8 } from '#base/mod.ts';
import { parseSealed, sealedJson } from './sealed-json.ts';

const value = { name: 'ü', count: 12, list: [{ a: '}' }], text: ',"checksum":"0000000000000000"}' };

test('what was sealed is read back, by others as JSON too, and so is what has no seal', () => {
  const bytes = sealedJson(value);
  assert.deepEqual(parseSealed(bytes), value);
  const { checksum, ...rest } = JSON.parse(textOf(bytes)) as Record<string, unknown>;
  assert.deepEqual(rest, value);
  assert.match(String(checksum), /^[0-9a-f]{16}$/);
  assert.deepEqual(parseSealed(utf8('{"a":1}\n')), { a: 1 });
});

test('no single byte can change without being noticed', () => {
  const bytes = sealedJson(value);
  const end = textOf(bytes).indexOf(',"checksum":"', textOf(bytes).indexOf('0000"}'));
  for (let at = 0; at < bytes.length - 1; at += 1) {
    for (const change of [1, 0x80]) {
      const changed = bytes.slice();
      changed[at] = (changed[at] ?? 0) ^ change;
      let read: unknown;
      try {
        read = parseSealed(changed);
      } catch (error) {
        assert.ok(error instanceof SyntaxError);
        continue;
      }
      // The name of the checksum itself: then it is a file without one, which still says the same.
      assert.ok(at >= end, `byte ${at} of ${bytes.length}`);
      assert.partialDeepStrictEqual(read, value);
    }
  }
  for (let length = 0; length < bytes.length - 2; length += 1) {
    assert.throws(() => parseSealed(bytes.subarray(0, length)), SyntaxError);
  }
});

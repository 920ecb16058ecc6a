import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { utf8 } from '#base/mod.ts';
import { defaultJsonLimits, parseStrictJson, parseStrictYaml, StatusError } from './mod.ts';

function refusal(parse: () => unknown): { code: number; message: string } {
  try {
    parse();
  } catch (error) {
    assert.ok(error instanceof StatusError, String(error));
    return { code: error.httpStatus, message: error.message };
  }
  throw new assert.AssertionError({ message: 'it was accepted' });
}

test('valid documents mean what JSON.parse says they mean, however they are spaced', () => {
  fc.assert(
    fc.property(fc.jsonValue({ maxDepth: 6 }), fc.nat(3), (value, indent) => {
      const text = JSON.stringify(value, null, indent);
      fc.pre(!text.includes('__proto__'));
      const hasLargeInteger = /(?<![\d.e+-])-?\d{16,}(?![\d.e])/i.test(text);
      fc.pre(!hasLargeInteger);
      assert.deepEqual(parseStrictJson(utf8(text)), { value: JSON.parse(text), duplicates: [] });
    }),
    { seed: 20_261_122, numRuns: 500 },
  );
});

test('no text is accepted that JSON.parse refuses', () => {
  const pieces = [
    '{',
    '}',
    '[',
    ']',
    ',',
    ':',
    '"a"',
    '"',
    '1',
    '-',
    '0',
    '.5',
    'e3',
    'true',
    'nul',
    ' ',
    '\n',
    '\\',
    '\u0001',
  ];
  fc.assert(
    fc.property(fc.array(fc.constantFrom(...pieces), { maxLength: 8 }), (parts) => {
      const text = parts.join('');
      let expected: unknown;
      try {
        expected = JSON.parse(text);
      } catch {
        assert.equal(refusal(() => parseStrictJson(utf8(text))).code, 400);
        return;
      }
      assert.deepEqual(parseStrictJson(utf8(text)).value, expected);
    }),
    { seed: 20_261_122, numRuns: 3000 },
  );
});

test('a wrong document is refused with the place and the reason', () => {
  const cases: [string, RegExp][] = [
    ['', /expected a value, found the end; line 1, column 1/],
    ['{"a":1,}', /expected a key in quotes, found "}"; line 1, column 8/],
    ['{\n "a": tru}', /expected a value, found "t"; line 2, column 7 \(at a\)/],
    ['{"a":[1,{"__proto__":{}}]}', /key a\[1\]\.__proto__, which is not allowed/],
    ['{"a":"\\ud800"}', /half of a surrogate pair.*\(at a\)/],
    ['{"a":9007199254740993}', /integer 9007199254740993, which is beyond 2\^53.*\(at a\)/],
    ['1e999', /too large/],
    ['1 2', /expected the end, found "2"/],
    ['"\t"', /control characters/],
    ['01', /expected the end, found "1"/],
  ];
  for (const [text, expected] of cases) {
    const { code, message } = refusal(() => parseStrictJson(utf8(text)));
    assert.equal(code, 400);
    assert.match(message, expected);
  }
});

test('bytes that are not UTF-8 are refused near the offset', () => {
  const bytes = utf8('{"a":"xx"}');
  bytes[6] = 0xc0;
  assert.match(refusal(() => parseStrictJson(bytes)).message, /not valid UTF-8 near byte 0/);
});

test('nesting is allowed up to the limit and refused one beyond, however deep it goes on', () => {
  const nested = (levels: number): Uint8Array => utf8('['.repeat(levels) + ']'.repeat(levels));
  assert.doesNotThrow(() => parseStrictJson(nested(100)));
  for (const levels of [101, 2_000, 200_000]) {
    for (const parse of [parseStrictJson, parseStrictYaml]) {
      const { code, message } = refusal(() => parse(nested(levels)));
      assert.deepEqual([code, /nested deeper than 100 levels/.test(message)], [400, true]);
      assert.ok(message.length < 400, 'the message stays short');
    }
  }
  assert.match(
    refusal(() => parseStrictJson(utf8('{"a":'.repeat(2_000)))).message,
    /nested deeper than 100 levels/,
  );
});

test('a key given twice is reported with its path and the last value counts', () => {
  const text = '{"spec":{"replicas":1,"list":[{"x":1,"x":2}],"replicas":2}}';
  const expected = {
    value: { spec: { replicas: 2, list: [{ x: 2 }] } },
    duplicates: ['spec.list[0].x', 'spec.replicas'],
  };
  assert.deepEqual(parseStrictJson(utf8(text)), expected);
  const yaml = 'spec:\n  replicas: 1\n  list:\n  - x: 1\n    x: 2\n  replicas: 2\n';
  assert.deepEqual(parseStrictYaml(utf8(yaml)), expected);
});

test('a body beyond the limits of bytes or values is refused', () => {
  const limits = { ...defaultJsonLimits, bytesMax: 20, valuesMax: 4 };
  assert.equal(refusal(() => parseStrictJson(utf8(`"${'x'.repeat(30)}"`), limits)).code, 413);
  assert.match(
    refusal(() => parseStrictJson(utf8('[1,2,3,4]'), limits)).message,
    /more than 4 values/,
  );
});

test('a parsed key never reaches a prototype', () => {
  const { value } = parseStrictJson(utf8('{"constructor":1,"hasOwnProperty":2}'));
  assert.deepEqual(Object.keys(value as object), ['constructor', 'hasOwnProperty']);
  assert.equal(Object.getPrototypeOf(value), Object.prototype);
});

test('YAML is read as the JSON that it stands for', () => {
  const text = 'a: &x [1, two, 3.5, null, true]\nb:\n  c: *x\n  on: yes\n2: "3"\n';
  const list = [1, 'two', 3.5, null, true];
  assert.deepEqual(parseStrictYaml(utf8(text)).value, {
    a: list,
    b: { c: list, on: 'yes' },
    '2': '3',
  });
  assert.deepEqual(parseStrictYaml(utf8('{"a": [1]}')).value, { a: [1] });
  assert.deepEqual(parseStrictYaml(utf8("{'a': [1]}")).value, { a: [1] });
});

test('YAML that JSON could not have said is refused with the place', () => {
  const levels = ['a: &a [1,1,1,1,1,1,1,1,1,1]'];
  for (const [name, of] of ['ba', 'cb', 'dc', 'ed', 'fe', 'gf'].map((pair) => pair.split(''))) {
    levels.push(`${name}: &${name} [${Array.from({ length: 10 }, () => `*${of}`).join(',')}]`);
  }
  const cases: [string, RegExp][] = [
    ['a: !custom 1', /tag !custom, which is not allowed; line 1.*\(at a\)/],
    ['a: !!binary aGk=', /tag .*binary, which is not allowed/],
    ['a:\n- __proto__: 1', /key a\[0\]\.__proto__, which is not allowed; line 2/],
    ['? [a]\n: 1', /a key that is no text/],
    ['a: .inf', /number that JSON cannot carry/],
    ['a: 12345678901234567890', /beyond 2\^53/],
    ['a: &a [*a]', /nested deeper than 100/],
    ['a: *unknown', /unknown alias|Unresolved alias/i],
    ['a: 1\n---\nb: 2', /YAML documents; expected one/],
    ['a: [', /not valid YAML: .*line \d/],
    [levels.join('\n'), /more than 500000 values/],
    ['- '.repeat(100_000), /nested deeper than 100/],
  ];
  for (const [text, expected] of cases) {
    const { code, message } = refusal(() => parseStrictYaml(utf8(text)));
    assert.deepEqual([code, message.match(expected) !== null], [400, true], message);
  }
});

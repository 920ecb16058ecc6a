import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Json } from '#base/mod.ts';
import { createObjectBudget } from './budget.ts';
import { compileProgram } from './compile.ts';
import { CelError } from './errors.ts';
import { type CelType, dyn, int, listOf, mapOf, string, timestamp } from './types.ts';
import { textOfValue, type Value, valueOf } from './values.ts';

const self: CelType = {
  kind: 'object',
  fields: new Map([
    ['replicas', { name: 'replicas', type: int }],
    ['name', { name: 'name', type: string }],
    ['names', { name: 'names', type: listOf(string) }],
    ['numbers', { name: 'numbers', type: listOf(int) }],
    ['labels', { name: 'labels', type: mapOf(string, string) }],
    ['when', { name: 'when', type: timestamp }],
    ['port', { name: 'port', type: dyn }],
    ['a__dash__b', { name: 'a-b', type: int }],
    ['missing', { name: 'missing', type: string }],
  ]),
};
const object: Json = {
  replicas: 3,
  name: 'wheel-left',
  names: ['a', 'b', 'c'],
  numbers: [3, 1, 2],
  labels: { tier: 'front', 'x.y/z': 'w' },
  when: '2026-01-31T12:00:00Z',
  port: '80%',
  'a-b': 7,
};

function run(text: string, value: Json = object): Value {
  const program = compileProgram(text, [{ name: 'self', type: self }]);
  return program.run([valueOf(value, self)], createObjectBudget().forRule());
}

test('expressions have the values that the language gives them', () => {
  const cases: [string, string | boolean | bigint | number][] = [
    ['1 + 2 * 3 - 4 / 2 % 3', 5n],
    ['-(-3)', 3n],
    ['!!true && !false', true],
    ['7 / 2 == 3 && -7 / 2 == -3 && 7 % -2 == 1', true],
    ['1.5 + 2.25', 3.75],
    ["'a' + \"b\" + r'\\n' + '\\u00e9'", 'ab\\né'],
    ['self.replicas <= 5 ? "few" : "many"', 'few'],
    ['self.names.all(n, n.size() == 1)', true],
    ['self.names.exists(n, n == "b") && !self.names.exists(n, n == "z")', true],
    ['self.numbers.exists_one(n, n > 2)', true],
    ['self.numbers.map(n, n * 2).filter(n, n > 2).sum()', 10n],
    ['self.numbers.map(n, n > 1, n).size()', 2n],
    ['size(self.labels) == 2 && "tier" in self.labels && self.labels["x.y/z"] == "w"', true],
    ['self.labels.all(key, key.size() > 1)', true],
    ['has(self.name) && !has(self.missing)', true],
    ['self.a__dash__b', 7n],
    ['"b" in self.names && !(4 in self.numbers)', true],
    ['self.name.matches("^[a-z]+-left$") && self.name.find("[a-z]+") == "wheel"', true],
    ['"a1b22".findAll("[0-9]+").join("/")', '1/22'],
    ['"a,b,c".split(",")[1] + "x".replace("x", "y") + "HeLLo".lowerAscii()', 'byhello'],
    ['"abc".substring(1) + "abc".substring(0, 1) + "abc".charAt(1)', 'bcab'],
    ['"tacocat".indexOf("c") * 10 + "tacocat".lastIndexOf("c")', 24n],
    ['"%s has %d of %.1f%%".format(["it", 2, 1.25])', 'it has 2 of 1.3%'],
    ['[3, 1, 2].isSorted() || [1, 2, 3].isSorted()', true],
    ['[1, 5, 3].max() - [4, 2].min()', 3n],
    ['sets.contains([1, 2, 3], [2]) && !sets.intersects([1], [2])', true],
    ['self.when < timestamp("2026-02-01T00:00:00Z")', true],
    ['self.when.getFullYear() == 2026 && self.when.getMonth() == 0', true],
    ['string(timestamp("2026-02-01T00:00:00Z") - self.when)', '43200s'],
    ['duration("1h30m") > duration("89m") && duration("1h").getMinutes() == 60', true],
    ['quantity("500m").isLessThan(quantity("1")) && isQuantity("2Gi") && !isQuantity("x")', true],
    ['quantity("1Gi").add(quantity("1Gi")).compareTo(quantity("2Gi"))', 0n],
    ['url("https://example.com:80/a?b=c").getHost()', 'example.com:80'],
    ['isURL("https://x") && isIP("10.0.0.1") && !isIP("10.0.0.256") && isCIDR("10.0.0.0/8")', true],
    ['type(self.replicas) == int && type("") == string', true],
    ['type(self.port) == string ? self.port.endsWith("%") : self.port > 0', true],
    ['int("12") + int(3.9) == 15 && string(4) == "4" && double(2) == 2.0', true],
    ['self.?missing.orValue("none") + self.?name.orValue("none")', 'nonewheel-left'],
    ['optional.of(1).hasValue() && !optional.none().hasValue()', true],
    ['cel.bind(n, self.replicas * 2, n + n)', 12n],
    ['{"a": 1, "b": 2}["b"] + [1, 2, 3][2]', 5n],
    ['true || 1 / 0 == 1', true],
    ['1 / 0 == 1 || true', true],
    ['[1, 0].exists(n, 4 / n == 4)', true],
    ['math.greatest(1, 5, 3) - math.least([4, 2])', 3n],
    ['self == self && [1, 2] == [1, 2] && {"a": [1]} != {"a": [2]}', true],
    ['1 == 1.0 && 2 > 1.5', true],
    ['b"\\x41" == bytes("A")', true],
  ];
  for (const [text, expected] of cases) assert.deepEqual(run(text), expected, text);
});

test('what can never be evaluated is refused with its place', () => {
  const cases: [string, RegExp][] = [
    ['self.nam == "x"', /^1:5: undefined field 'nam'/],
    ['slef.name', /^1:1: undeclared reference to 'slef'/],
    ['self.name +', /^1:12: unexpected the end/],
    [
      'self.replicas == "x"',
      /^1:15: found no matching overload for '==' applied to '\(int, string\)'/,
    ],
    ['self.name + 1', /'\+' applied to '\(string, int\)'/],
    ['self.name.starts("x")', /undeclared reference to 'starts'/],
    ['self.names.all(n, n + "x")', /expected type 'bool' but found 'string'/],
    ['self.replicas.all(n, true)', /cannot be gone through/],
    ['self.name.matches("(")', /the pattern must be an RE2 regular expression/],
    ['"abc', /^1:1: the string does not end/],
    ['1 +\n  §', /^2:3: unexpected/],
    ['has(self)', /has\(\) takes one selection/],
    ['self.names.map(1, n)', /must be a variable/],
    ['a'.repeat(3) + '(1', /was expected/],
    ['9223372036854775809', /does not fit/],
    ['if', /reserved word/],
    ['('.repeat(200) + '1' + ')'.repeat(200), /nested 100 deep/],
  ];
  for (const [text, expected] of cases) {
    assert.throws(
      () => run(text),
      (error) =>
        error instanceof CelError && error.code === 'CEL_COMPILE' && expected.test(error.message),
      text,
    );
  }
});

test('what cannot be evaluated on this object says why', () => {
  const cases: [string, RegExp][] = [
    ['self.missing == "x"', /no such key: missing/],
    ['self.names[3] == "x"', /index out of bounds/],
    ['self.replicas / 0 == 1', /division by zero/],
    ['9223372036854775807 + 1 == 0', /integer overflow/],
    ['self.port + 1 == 81', /no such overload: \+\(string, int\)/],
    ['int("x") == 1', /no whole number/],
    ['quantity("x").isInteger()', /no quantity/],
    ['string(timestamp("9999-12-31T23:59:59Z") + duration("1h")) == ""', /years 1 to 9999/],
    ['timestamp(-62135596801).getFullYear() == 1', /years 1 to 9999/],
    ['self.names.all(n, int(n) == 1)', /no whole number/],
  ];
  for (const [text, expected] of cases) {
    assert.throws(
      () => run(text),
      (error) =>
        error instanceof CelError &&
        error.code === 'CEL_EVALUATION' &&
        expected.test(error.message),
      text,
    );
  }
});

test('no expression takes more than its budget, errors absorbed or not', () => {
  const many: Json = { names: Array.from({ length: 300 }, (_, at) => `n${at}`) };
  const hungry = [
    'self.names.all(a, self.names.all(b, self.names.all(c, true)))',
    'self.names.exists(a, self.names.exists(b, self.names.exists(c, 1 / 0 == 1)))',
    'self.names.map(a, self.names.map(b, self.names.map(c, a + b + c))).size() > 0',
    'self.names.exists(a, self.names.exists(b, self.names.join("x").matches("(x+x+)+y")))',
  ];
  for (const text of hungry) {
    const startedAtMs = performance.now();
    assert.throws(
      () => run(text, many),
      (error) => error instanceof CelError && error.code === 'CEL_BUDGET',
      text,
    );
    assert.ok(performance.now() - startedAtMs < 3_000, text);
  }
});

test('values are written as people read them', () => {
  assert.equal(textOfValue(run('duration("1.5s")')), '1.5s');
  assert.equal(textOfValue(run('timestamp("2026-01-01T00:00:00.5Z")')), '2026-01-01T00:00:00.5Z');
  assert.equal(textOfValue(run('quantity("1024Mi")')), '1Gi');
});

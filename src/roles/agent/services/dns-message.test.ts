import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import {
  decodeAnswerRecords,
  decodeQuery,
  type DnsAnswer,
  type DnsRecord,
  encodeAnswer,
  encodeQuery,
  recordTypes,
} from './dns-message.ts';

function queryOf(name: string): Extract<ReturnType<typeof decodeQuery>, { question: unknown }> {
  const query = decodeQuery(encodeQuery(7, { name, type: recordTypes.A }));
  assert.ok(query !== undefined && 'question' in query);
  return query;
}

const record = (name: string, last: number): DnsRecord => ({
  type: 'A',
  name,
  ttlSeconds: 5,
  address: `127.0.0.${last}`,
});

test('a query and its answer come back as they were', () => {
  const query = queryOf('web.shop.svc');
  assert.deepEqual(query.question, { name: 'web.shop.svc', type: recordTypes.A });
  const answer: DnsAnswer = {
    code: 0,
    isAuthoritative: true,
    answers: [
      { type: 'CNAME', name: 'web.shop.svc', ttlSeconds: 70_000, target: 'example.org' },
      record('example.org', 9),
    ],
  };
  assert.deepEqual(decodeAnswerRecords(encodeAnswer(query, answer, 512)), answer.answers);
});

test('what does not fit is left out, and that is said', () => {
  const query = queryOf('pods.shop.svc');
  const answers = Array.from({ length: 60 }, (_, index) => record('pods.shop.svc', index + 1));
  const cut = encodeAnswer(query, { code: 0, isAuthoritative: true, answers }, 512);
  assert.ok(cut.length <= 512);
  assert.equal((cut[2] ?? 0) & 0x02, 0x02);
  assert.equal(decodeAnswerRecords(cut).length, (512 - 12 - query.questionBytes.length) >> 4);
  const whole = encodeAnswer(query, { code: 0, isAuthoritative: true, answers }, 65_535);
  assert.equal((whole[2] ?? 0) & 0x02, 0);
  assert.deepEqual(decodeAnswerRecords(whole), answers);
});

test('bytes of any kind are read to an end, and never throw', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
      decodeQuery(bytes);
      decodeAnswerRecords(bytes);
      // The same with the counts of a message that has one of each.
      const counted = Uint8Array.from(bytes);
      counted.set([0, 1, 0, 0, 0, 1, 0, 1, 0, 0, 0, 0].slice(0, counted.length));
      decodeQuery(counted);
      decodeAnswerRecords(counted);
    }),
    { numRuns: 2_000, seed: 4 },
  );
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { textOf, utf8 } from '#base/mod.ts';
import { withServer } from '../harness.contract.ts';
import { healthAnswer, type HealthCheck } from './health.ts';

/** Checks of these names; the ones in `failing` fail, and `audit` is not vital. */
function answerOf(query: string, failing: readonly string[] = []): readonly [number, string] {
  const checks = ['ping', 'log', 'audit'].map((name): HealthCheck => ({
    name,
    isVital: name !== 'audit',
    failure: () => (failing.includes(name) ? `${name} is broken` : undefined),
  }));
  const { status, body } = healthAnswer('readyz', checks, new URLSearchParams(query));
  assert.ok(typeof body !== 'function');
  return [status, textOf(typeof body === 'string' ? utf8(body) : body)];
}

test('without verbose one word is the answer, or what is the matter', () => {
  assert.deepEqual(answerOf(''), [200, 'ok']);
  assert.deepEqual(answerOf('', ['log', 'audit']), [503, 'log is broken']);
  assert.deepEqual(answerOf('', ['audit']), [200, 'ok, but audit is broken']);
  assert.deepEqual(answerOf('exclude=log&exclude=audit', ['log', 'audit']), [200, 'ok']);
});

test('with verbose each check has its line, without the reason', () => {
  assert.deepEqual(answerOf('verbose'), [
    200,
    '[+]ping ok\n[+]log ok\n[+]audit ok\nreadyz check passed\n',
  ]);
  assert.deepEqual(answerOf('verbose=true', ['log']), [
    503,
    '[+]ping ok\n[-]log failed: reason withheld\n[+]audit ok\nreadyz check failed\n',
  ]);
});

test('a check that is not vital is told of and passes', () => {
  assert.deepEqual(answerOf('verbose', ['audit']), [
    200,
    '[+]ping ok\n[+]log ok\n[-]audit failed: reason withheld\nwarn: requests are answered without audit\nreadyz check passed\n',
  ]);
});

test('excluded checks are left out, unknown ones are named, and not endlessly many', () => {
  assert.deepEqual(answerOf('verbose&exclude=log&exclude=etcd&exclude=a%22b', ['log']), [
    200,
    '[+]ping ok\n[+]log excluded: ok\n[+]audit ok\nwarn: some health checks cannot be excluded: no matches for "etcd","a\\"b"\nreadyz check passed\n',
  ]);
  const many = Array.from({ length: 33 }, (_, index) => `exclude=${index}`).join('&');
  assert.throws(() => answerOf(many), { message: 'exclude may be given 32 times at most' });
});

test('the server lists what it looks at, to anybody who asks', () =>
  withServer(async (server) => {
    const ask = async (target: string): Promise<string> =>
      (await server.call('GET', target, { as: 'nobody' })).text;
    assert.equal(
      await ask('/readyz?verbose'),
      '[+]ping ok\n[+]log ok\n[+]event-log ok\n[+]history ok\n[+]audit ok\nreadyz check passed\n',
    );
    assert.equal(await ask('/livez?verbose'), '[+]ping ok\nlivez check passed\n');
    assert.equal(await ask('/healthz?verbose'), '[+]ping ok\nhealthz check passed\n');
    for (const path of ['/readyz', '/livez', '/healthz']) assert.equal(await ask(path), 'ok');
  }));

test('one check alone is asked for by its name', () =>
  withServer(async (server) => {
    const ask = (target: string) => server.call('GET', target, { as: 'nobody' });
    assert.equal((await ask('/readyz/log')).text, 'ok');
    const verbose = await ask('/readyz/log?verbose');
    assert.equal(verbose.text, '[+]log ok\nreadyz check passed\n');
    const unknown = await ask('/readyz/etcd');
    assert.equal(unknown.status, 404);
    assert.match(
      unknown.text,
      /\/readyz has no such check: there is ping, log, event-log, history, audit/,
    );
    assert.equal((await ask('/livez/log')).status, 404);
  }));

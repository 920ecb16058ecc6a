import assert from 'node:assert/strict';
import test from 'node:test';
import { type JsonObject, textOf, utf8 } from '#base/mod.ts';
import { resources, StatusError } from '#platform/api/mod.ts';
import { type ByteSink, type HttpHandler, type HttpRequest, readBody } from '#platform/io/mod.ts';
import { createWorld } from '#platform/sim/mod.ts';
import { BodyPipe } from './body-pipe.ts';
import { JsonLines } from './json-lines.ts';
import { createClient, createEventRecorder, handlerTransport, type WatchEvent } from './mod.ts';

const peer = {
  commonName: 'system:controller:test',
  organizations: ['system:controllers'],
  uris: [],
  serialNumber: '00',
  notAfterMs: 0,
};

function linesOf(bytesMax: number, ...parts: readonly string[]): unknown[] {
  const lines = new JsonLines(bytesMax);
  const values = parts.flatMap((part) => [...lines.take(utf8(part))]);
  lines.requireWhole();
  return values;
}

test('lines come whole however the bytes are cut, and a line without bound is refused', () => {
  assert.deepEqual(linesOf(8, '{"a":', '1}\n{"b":2}\n', '\n[3', ']\n'), [{ a: 1 }, { b: 2 }, [3]]);
  const failures = [['123456', '789\n'], ['{"a"'], ['{a}\n']];
  const codes = ['CLIENT_LINE_TOO_LONG', 'CLIENT_ANSWER_CUT', 'CLIENT_ANSWER_MALFORMED'];
  for (const [index, parts] of failures.entries()) {
    assert.throws(() => linesOf(8, ...parts), { code: codes[index] });
  }
});

test('a pipe tells its writer of the drain, and its reader of a cut', async () => {
  const pipe = new BodyPipe(() => {});
  let drained = 0;
  pipe.onDrain(() => (drained += 1));
  pipe.write(utf8('one'));
  pipe.write(utf8('two'));
  assert.equal(pipe.bufferedBytes(), 6);
  const reader = pipe[Symbol.asyncIterator]();
  const first = await reader.next();
  assert.equal(textOf(first.value ?? new Uint8Array(0)), 'onetwo');
  assert.deepEqual([pipe.bufferedBytes(), drained], [0, 1]);
  pipe.write(utf8('a\n'));
  pipe.writeValue({ b: 1 }, 50);
  assert.equal(pipe.bufferedBytes(), 52);
  const second = await reader.next();
  assert.equal(textOf(second.value ?? new Uint8Array(0)), 'a\n{"b":1}\n', 'a value is its line');
  pipe.destroy();
  await assert.rejects(reader.next(), { code: 'CLIENT_ANSWER_CUT' });
});

const json = (status: number, value: JsonObject) => ({
  status,
  headers: {},
  body: utf8(JSON.stringify(value)),
});

test('names become paths, and a refusal the error that it was', async () => {
  const seen: string[] = [];
  const handler: HttpHandler = async (request) => {
    const body = textOf(await readBody(request.body, 1_000));
    seen.push(`${request.method} ${request.path}?${request.query} ${body}`);
    const refusal = new StatusError('Invalid', 'no', {
      kind: 'Deployment',
      causes: [{ reason: 'FieldValueInvalid', message: 'm', field: 'spec.replicas' }],
    });
    return json(422, refusal.toStatus());
  };
  const client = createClient(handlerTransport(handler, peer), { userAgent: 'test' });
  const calls = [
    () => client.get(resources.nodes, '', 'n/1'),
    () => client.list(resources.deployments, { namespace: 'd', labelSelector: 'a=b,c' }),
    () => client.mergePatch(resources.pods, 'd', 'p', { metadata: {} }, 'status'),
    () => client.delete(resources.pods, 'd', 'p', { uid: 'u', propagationPolicy: 'Orphan' }),
  ];
  for (const call of calls) {
    await assert.rejects(call(), (error) => {
      assert.ok(error instanceof StatusError);
      assert.equal(error.reason, 'Invalid');
      assert.equal(error.options.causes?.[0]?.field, 'spec.replicas');
      return true;
    });
  }
  assert.deepEqual(seen, [
    'GET /api/v1/nodes/n%2F1? ',
    'GET /apis/apps/v1/namespaces/d/deployments?labelSelector=a%3Db%2Cc&limit=1000 ',
    'PATCH /api/v1/namespaces/d/pods/p/status? {"metadata":{}}',
    'DELETE /api/v1/namespaces/d/pods/p? {"apiVersion":"v1","kind":"DeleteOptions","propagationPolicy":"Orphan","preconditions":{"uid":"u"}}',
  ]);
});

test('a watch delivers its events in order and ends once, with the error of the stream', async () => {
  const sinks: ByteSink[] = [];
  let aborted = 0;
  const handler: HttpHandler = (request: HttpRequest) => {
    request.onAbort(() => (aborted += 1));
    return Promise.resolve({ status: 200, headers: {}, body: (sink) => void sinks.push(sink) });
  };
  const client = createClient(handlerTransport(handler, peer), { userAgent: 'test' });
  const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
  const events: WatchEvent[] = [];
  const ends: (Error | undefined)[] = [];
  const handlers = {
    onEvent: (event: WatchEvent) => void events.push(event),
    onEnd: (error: Error | undefined) => void ends.push(error),
  };
  client.watch(resources.pods, { resourceVersion: '1' }, handlers);
  const closed = client.watch(resources.pods, { resourceVersion: '1' }, handlers);
  await settle();
  const object = { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'p' } };
  const expired = new StatusError('Expired', 'too old').toStatus();
  sinks[0]?.write(utf8(`${JSON.stringify({ type: 'ADDED', object })}\n{"type":"BOOK`));
  sinks[0]?.write(utf8('MARK","object":{"metadata":{"resourceVersion":"9"}}}\n'));
  sinks[0]?.writeValue?.({ type: 'MODIFIED', object }, 100);
  sinks[0]?.write(utf8(`${JSON.stringify({ type: 'ERROR', object: expired })}\n`));
  closed.close();
  sinks[1]?.write(utf8(`${JSON.stringify({ type: 'ADDED', object })}\n`));
  await settle();
  assert.deepEqual(events, [
    { type: 'ADDED', object },
    { type: 'BOOKMARK', resourceVersion: '9' },
    { type: 'MODIFIED', object },
  ]);
  assert.equal(events[2]?.type === 'MODIFIED' && events[2].object, object, 'by reference');
  assert.deepEqual(
    ends.map((error) => error instanceof StatusError && error.reason),
    ['Expired'],
  );
  assert.equal(aborted, 2);
});

test('equal reports become one event that counts, also after the event was dropped', async () => {
  const stored = new Map<string, JsonObject>();
  const handler: HttpHandler = async (request) => {
    const body = JSON.parse(textOf(await readBody(request.body, 10_000))) as JsonObject;
    const name = request.path.split('/')[6] ?? (body['metadata'] as { name: string }).name;
    if (request.method === 'PATCH' && !stored.has(name)) {
      return json(404, new StatusError('NotFound', 'gone').toStatus());
    }
    stored.set(name, { ...stored.get(name), ...body });
    return json(200, stored.get(name) ?? {});
  };
  const { clock } = createWorld({ seed: 1, drainMicrotasks: () => Promise.resolve() });
  const client = createClient(handlerTransport(handler, peer), { userAgent: 'test' });
  const recorder = createEventRecorder(client, clock, { component: 'tester' });
  const regarding = { apiVersion: 'v1', kind: 'Node', metadata: { name: 'n', uid: 'u' } };
  const report = { regarding, severity: 'Normal', reason: 'Seen', message: 'hello' } as const;
  for (let times = 0; times < 3; times += 1) recorder.record(report);
  await recorder.idle();
  recorder.record(report);
  await recorder.idle();
  const counts = (): unknown[] => [...stored.values()].map((event) => event['count']);
  assert.deepEqual(counts(), [4]);
  const [[name, event] = ['', {} as JsonObject]] = [...stored];
  assert.match(name, /^n\.[0-9a-f]{16}$/u);
  assert.equal((event['metadata'] as JsonObject)['namespace'], 'default');
  stored.clear();
  recorder.record(report);
  await recorder.idle();
  assert.deepEqual([counts(), recorder.droppedCount()], [[1], 0]);
});

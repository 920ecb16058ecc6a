import assert from 'node:assert/strict';
import { createServer, type Server } from 'node:net';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { concatBytes, textOf, utf8 } from '#base/mod.ts';
import { silentLogger, type Child } from '#platform/io/mod.ts';
import {
  createNodeChildren,
  createNodeClock,
  createNodePlainNet,
  createNodeTimers,
} from '#platform/io/node/mod.ts';
import {
  createConnectionPair,
  type LinkSession,
  type LinkStream,
  openLink,
  type StreamHandler,
} from '#platform/wire/mod.ts';
import { AgentError } from './errors.ts';
import { createPodExec } from './pod-exec.ts';
import { createPodForward } from './pod-forward.ts';

async function openHub(onStream: StreamHandler): Promise<LinkSession> {
  const [parent, child] = createConnectionPair();
  const ports = { clock: createNodeClock(), timers: createNodeTimers(), logger: silentLogger };
  const [hub] = await Promise.all([
    openLink({ ...ports, connection: parent }, { role: 'parent', product: 'hub', onStream() {} }),
    openLink({ ...ports, connection: child }, { role: 'child', product: 'agent', onStream }),
  ]);
  return hub;
}

const folder = mkdtempSync(join(tmpdir(), 'pod-streams-'));
after(() => rmSync(folder, { recursive: true }));
const children = createNodeChildren();
const pids: number[] = [];

/** Commands are programs of this machine, in the place of a container. */
const serveExec = createPodExec({
  hasPod: (uid) => uid === 'u',
  runtime: {
    get: () => undefined,
    attachInput: ({ container }) =>
      container === 'main'
        ? children.start({
            program: '/bin/sh',
            arguments: ['-c', 'cat >"$1"', 'sh', join(folder, 'input')],
            environment: {},
          })
        : Promise.reject(new AgentError('EXEC_REFUSED', 'its input is empty')),
    async exec({ container }, [program = '', ...words], { hasTerminal = false } = {}) {
      if (container !== 'main') throw new AgentError('EXEC_NOT_RUNNING', 'it does not run');
      if (program !== 'node') throw new AgentError('EXEC_NOT_FOUND', `${program} is not there`);
      // As a busy machine is: the client has begun to speak.
      if (words.at(-1) === 'late') await new Promise((resolve) => setTimeout(resolve, 200));
      const environment = { PATH: '/usr/bin:/bin' };
      const child = await children.start({
        program: process.execPath,
        arguments: words,
        environment,
        hasTerminal,
      });
      pids.push(child.pid);
      return child;
    },
  },
});

interface Ran {
  out: string;
  errors: string;
  status: { status?: string; details?: { causes: { message: string }[] } } | undefined;
  failure: string | undefined;
}

function begin(
  hub: LinkSession,
  command: unknown,
  options: { stdin?: boolean; container?: string; tty?: boolean; attach?: boolean } = {},
) {
  const { stdin = false, container = 'main', tty = false, attach = false } = options;
  const stream = hub.open('telemetry', 'pod.exec', { podUid: 'u', container });
  const ran: Ran = { out: '', errors: '', status: undefined, failure: undefined };
  stream.onMessage((message) => {
    const text = textOf(message.subarray(1));
    if (message[0] === 1) ran.out += text;
    if (message[0] === 2) ran.errors += text;
    if (message[0] !== 3) return;
    ran.status = JSON.parse(text) as Ran['status'];
    stream.end();
  });
  const ended = new Promise<Ran>((resolve) => {
    stream.onClose((failure) => {
      ran.failure = failure?.code;
      resolve(ran);
    });
  });
  void stream.send(utf8(JSON.stringify(attach ? { attach } : { command, stdin, tty })));
  return {
    stream,
    ran,
    ended,
    write: (bytes: Uint8Array) => stream.send(concatBytes([Uint8Array.of(0), bytes])),
    endInput: () => stream.send(Uint8Array.of(255, 0)),
    resize: (text: string) => stream.send(concatBytes([Uint8Array.of(4), utf8(text)])),
  };
}

const isGone = (pid: number): boolean => {
  try {
    process.kill(pid, 0);
    return false;
  } catch {
    return true;
  }
};

async function until(what: string, holds: () => boolean): Promise<void> {
  for (let waitedMs = 0; waitedMs < 10_000; waitedMs += 10) {
    if (holds()) return;
    await new Promise((resolve) => {
      setTimeout(resolve, 10);
    });
  }
  assert.fail(`not within 10 s: ${what}`);
}

test('a command has its streams and its status, and what cannot run says why', async () => {
  const hub = await openHub((_, parameters, stream) => serveExec(parameters, stream));
  const simple = await begin(hub, ['node', '-e', 'console.log(1); console.error(2)']).ended;
  assert.deepEqual([simple.out, simple.errors, simple.status?.status], ['1\n', '2\n', 'Success']);

  const echo = `process.stdin.pipe(process.stdout); process.stdin.on('end', () => { process.exitCode = 9 })`;
  const echoing = begin(hub, ['node', '-e', echo], { stdin: true });
  const sent = 'x'.repeat(100_000);
  // Beyond what a pipe and the link hold together: each waits for the other.
  for (let part = 0; part < 20; part += 1) await echoing.write(utf8(sent));
  await echoing.endInput();
  const echoed = await echoing.ended;
  assert.equal(echoed.out.length, 20 * sent.length);
  assert.equal(echoed.status?.details?.causes[0]?.message, '9');

  const absent = await begin(hub, ['sh']).ended;
  assert.deepEqual(
    [absent.errors, absent.status?.details?.causes[0]?.message],
    ['sh is not there\n', '127'],
  );
  assert.equal(
    (await begin(hub, ['node'], { container: 'x' }).ended).failure,
    'CONTAINER_NOT_FOUND',
  );
  assert.equal((await begin(hub, 'no list').ended).failure, 'EXEC_FAILED');
  hub.close({ code: 'DONE', message: 'done' });
});

test('what comes in before there is a command, and while it takes no more, comes in order and whole', async () => {
  const hub = await openHub((_, parameters, stream) => serveExec(parameters, stream));
  const count = `setTimeout(() => { let next = 0; let rest = ''; process.stdin.on('data', (bytes) => {
    const lines = (rest + bytes).split('\\n'); rest = lines.pop();
    for (const line of lines) if (Number(line) === next) next += 1; }).on('end', () => console.log(next)); }, 300)`;
  const session = begin(hub, ['node', '-e', count, 'late'], { stdin: true });
  const lines = Array.from({ length: 200_000 }, (_, at) => `${at}\n`).join('');
  const sending: Promise<void>[] = [];
  for (let at = 0; at < lines.length; at += 16_000) {
    sending.push(session.write(utf8(lines.slice(at, at + 16_000))));
  }
  sending.push(session.endInput());
  await Promise.all(sending);
  assert.equal((await session.ended).out, '200000\n');
  hub.close({ code: 'DONE', message: 'done' });
});

test('what comes in just when the command begins is not overtaken by what comes after it', async () => {
  const seen: string[] = [];
  let begun: (child: Child) => void = () => {};
  const child = {
    write: (bytes: Uint8Array) => void seen.push(textOf(bytes)),
    endInput: () => void seen.push('end'),
    bufferedBytes: () => 0,
    onOutput() {},
    onExit() {},
  } as unknown as Child;
  const serve = createPodExec({
    hasPod: () => true,
    runtime: {
      get: () => undefined,
      attachInput: () => Promise.reject(new Error('not here')),
      exec: () =>
        new Promise((resolve) => {
          begun = resolve;
        }),
    },
  });
  let take: (message: Uint8Array) => unknown = () => undefined;
  serve({ podUid: 'u', container: 'c' }, {
    onMessage: (listener: (message: Uint8Array) => unknown) => void (take = listener),
    onClose() {},
  } as unknown as LinkStream);
  const input = (text: string) => concatBytes([Uint8Array.of(0), utf8(text)]);
  take(utf8('{"command":["tar"],"stdin":true}'));
  for (const text of ['1', '2', '3', '4']) take(input(text));
  await Promise.resolve();
  begun(child);
  // The link hands on what it has as soon as it can: between any two steps of the command's start.
  for (let step = 0; step < 5; step += 1) {
    await Promise.resolve();
    take(input(String(5 + step)));
  }
  take(Uint8Array.of(255, 0));
  await until('all of it', () => seen.includes('end') && seen.length === 10);
  assert.deepEqual(seen, ['1', '2', '3', '4', '5', '6', '7', '8', '9', 'end']);
});

test('a command in a terminal sees one, of the size that the client has, and ends with it', async () => {
  const hub = await openHub((_, parameters, stream) => serveExec(parameters, stream));
  const look = `const say = () => console.log([process.stdin.isTTY, process.stdout.isTTY, process.stdout.columns, process.stdout.rows].join());
    process.stdout.on('resize', say); process.stdin.on('data', (bytes) => { console.log('heard ' + bytes); process.exit(4); });
    console.error('begun'); say();`;
  const session = begin(hub, ['node', '-e', look], { stdin: true, tty: true });
  await until('begun', () => session.ran.out.includes('begun'));
  for (const text of ['{', '{"Width":0,"Height":0}', '{"Width":1e9,"Height":2}', 'x'.repeat(300)]) {
    await session.resize(text);
  }
  await session.resize('{"Width":91,"Height":33}');
  await until('resized', () => session.ran.out.includes('true,true,91,33'));
  await session.write(utf8('word\n'));
  const { out, errors, status } = await session.ended;
  assert.match(out, /true,true,80,24/, 'the size that terminals have before anybody says');
  assert.match(out, /word\r\nheard word/, 'what is typed is shown');
  assert.deepEqual([errors, status?.details?.causes[0]?.message], ['', '4']);
  const forever = `setInterval(() => {}, 1000); console.log('pid ' + process.pid)`;
  const left = begin(hub, ['node', '-e', forever], { stdin: true, tty: true });
  await until('begun', () => /pid [0-9]+\r/.test(left.ran.out));
  left.stream.fail({ code: 'CLIENT_GONE', message: 'gone' });
  await until('ended', () => isGone(Number(/pid ([0-9]+)/.exec(left.ran.out)?.[1])));
  hub.close({ code: 'DONE', message: 'done' });
});

test('what is attached is written to the input, and an input that is empty refuses', async () => {
  const hub = await openHub((_, parameters, stream) => serveExec(parameters, stream));
  const attached = begin(hub, [], { attach: true });
  await attached.write(utf8('some words'));
  await attached.endInput();
  assert.equal((await attached.ended).status?.status, 'Success');
  assert.equal(readFileSync(join(folder, 'input'), 'utf8'), 'some words');
  const refused = await begin(hub, [], { attach: true, container: 'other' }).ended;
  assert.equal(refused.failure, 'EXEC_REFUSED');
  hub.close({ code: 'DONE', message: 'done' });
});

test('a command ends with its stream and with the link', async () => {
  const hub = await openHub((_, parameters, stream) => serveExec(parameters, stream));
  const forever = ['node', '-e', `setInterval(() => {}, 1000); console.log('begun')`];
  const first = begin(hub, forever);
  await until('begun', () => first.ran.out === 'begun\n');
  const firstPid = pids.at(-1) ?? 0;
  first.stream.fail({ code: 'CLIENT_GONE', message: 'gone' });
  await until('ended', () => isGone(firstPid));
  const second = begin(hub, forever);
  await until('begun', () => second.ran.out === 'begun\n');
  const secondPid = pids.at(-1) ?? 0;
  hub.close({ code: 'DONE', message: 'done' });
  await until('ended', () => isGone(secondPid));
});

/** A command that nobody reads from waits, and holds no memory. */
test('output that is not read stops the command, not the agent', async () => {
  const hub = await openHub((_, parameters, stream) => serveExec(parameters, stream));
  const stream = hub.open('telemetry', 'pod.exec', { podUid: 'u', container: 'main' });
  let release = (): void => {};
  let bytes = 0;
  stream.onMessage((message) => {
    bytes += message.length;
    return new Promise((resolve) => {
      release = resolve;
    });
  });
  const program = `let n = 0; const w = () => process.stdout.write(Buffer.alloc(65536), () => { n += 1; w() }); w();`;
  await stream.send(utf8(JSON.stringify({ command: ['node', '-e', program] })));
  await until('something', () => bytes > 0);
  await new Promise((resolve) => {
    setTimeout(resolve, 300);
  });
  const before = process.memoryUsage().rss;
  await new Promise((resolve) => {
    setTimeout(resolve, 500);
  });
  assert.ok(process.memoryUsage().rss - before < 20_000_000);
  release();
  stream.fail({ code: 'CLIENT_GONE', message: 'gone' });
  hub.close({ code: 'DONE', message: 'done' });
});

const serveForward = createPodForward({
  plainNet: createNodePlainNet(),
  addressOf: (uid) => (uid === 'u' ? '127.0.0.1' : undefined),
});

function listen(server: Server): Promise<number> {
  return new Promise((resolve) => {
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      resolve(typeof address === 'object' && address !== null ? address.port : 0);
    });
  });
}

function connect(hub: LinkSession, parameters: Record<string, unknown>) {
  const stream = hub.open('telemetry', 'pod.forward', parameters);
  const seen = { text: '', hasEnded: false, failure: undefined as string | undefined };
  stream.onMessage((bytes) => {
    if (bytes.length === 0) seen.hasEnded = true;
    seen.text += textOf(bytes);
  });
  const closed = new Promise<typeof seen>((resolve) => {
    stream.onClose((failure) => {
      seen.failure = failure?.code;
      resolve(seen);
    });
  });
  return { stream, seen, closed };
}

test('a connection to a pod carries both directions, each to its own end', async () => {
  const hub = await openHub((_, parameters, stream) => serveForward(parameters, stream));
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    let got = '';
    socket.on('data', (chunk) => {
      got += chunk.toString();
    });
    // Answers only when the other side has said everything.
    socket.on('end', () => socket.end(`got ${got.length}`));
  });
  const port = await listen(server);
  const { stream, closed, seen } = connect(hub, { podUid: 'u', port });
  for (let part = 0; part < 10; part += 1) await stream.send(utf8('y'.repeat(60_000)));
  await stream.send(new Uint8Array(0));
  await until('the answer', () => seen.hasEnded);
  assert.equal(seen.text, 'got 600000');
  stream.end();
  assert.equal((await closed).failure, undefined);

  assert.equal((await connect(hub, { podUid: 'other', port }).closed).failure, 'POD_NOT_FOUND');
  assert.equal((await connect(hub, { podUid: 'u', port: 0 }).closed).failure, 'FORWARD_REFUSED');
  assert.equal((await connect(hub, { podUid: 'u', port: 'x' }).closed).failure, 'FORWARD_REFUSED');
  await new Promise((resolve) => server.close(resolve));
  assert.equal((await connect(hub, { podUid: 'u', port }).closed).failure, 'FORWARD_FAILED');
  hub.close({ code: 'DONE', message: 'done' });
});

test('a connection is cut at one end when it is at the other', async () => {
  const hub = await openHub((_, parameters, stream) => serveForward(parameters, stream));
  let cut = 0;
  const server = createServer((socket) => {
    socket.on('error', () => {});
    socket.on('close', () => {
      cut += 1;
    });
    socket.on('data', (chunk) => {
      if (chunk.toString() === 'reset') socket.resetAndDestroy();
      else socket.write('here');
    });
  });
  const port = await listen(server);
  const first = connect(hub, { podUid: 'u', port });
  await first.stream.send(utf8('hello'));
  await until('here', () => first.seen.text === 'here');
  first.stream.fail({ code: 'CLIENT_GONE', message: 'gone' });
  await until('cut', () => cut === 1);
  const second = connect(hub, { podUid: 'u', port });
  await second.stream.send(utf8('reset'));
  assert.equal((await second.closed).failure, 'FORWARD_RESET');
  await new Promise((resolve) => server.close(resolve));
  hub.close({ code: 'DONE', message: 'done' });
});

test('a stream that ends while the pod is connected to gives its place back', async () => {
  const nodeNet = createNodePlainNet();
  let made = 0;
  let go: () => void = () => {};
  const gate = new Promise<void>((resolve) => {
    go = resolve;
  });
  const serve = createPodForward({
    addressOf: () => '127.0.0.1',
    plainNet: {
      ...nodeNet,
      // As to a pod that is slow to take connections.
      async connect(options) {
        const connection = await nodeNet.connect(options);
        made += 1;
        await gate;
        return connection;
      },
    },
  });
  const hub = await openHub((_, parameters, stream) => serve(parameters, stream));
  let open = 0;
  const server = createServer((socket) => {
    open += 1;
    socket.on('error', () => {});
    socket.on('close', () => {
      open -= 1;
    });
    socket.write('here');
  });
  const port = await listen(server);
  // As many as there are places.
  const given = Array.from({ length: 128 }, () => connect(hub, { podUid: 'u', port }));
  await until('all are connected', () => made === 128 && open === 128);
  assert.equal((await connect(hub, { podUid: 'u', port }).closed).failure, 'FORWARD_BUSY');
  for (const { stream } of given) stream.fail({ code: 'CLIENT_GONE', message: 'gone' });
  // What is said after them arrives after them.
  assert.equal((await connect(hub, { podUid: 'u', port }).closed).failure, 'FORWARD_BUSY');
  go();
  await until('the connections are let go of', () => open === 0);
  const next = connect(hub, { podUid: 'u', port });
  await until('a further one is taken', () => next.seen.text === 'here');
  next.stream.fail({ code: 'CLIENT_GONE', message: 'gone' });
  await new Promise((resolve) => server.close(resolve));
  hub.close({ code: 'DONE', message: 'done' });
});

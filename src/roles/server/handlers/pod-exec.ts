/**
 * Commands in a container, and the output of its workload as it comes: `exec` and
 * `attach`. The client's connection is upgraded, and a stream to the node carries
 * on from there.
 *
 * Invariants:
 * 1. What is wrong with the request itself is answered as a Status, before any upgrade.
 * 2. The client hears exactly one status, unless it goes away; then the stream to
 *    the node is given up, and what ran there ends.
 */
import { concatBytes, errorText, type JsonObject, textOf, utf8 } from '#base/mod.ts';
import { type Pod, type ResourceDefinition, StatusError } from '#platform/api/mod.ts';
import type { ServerParts } from '../dependencies.ts';
import { concurrentPodStreamsMax, execCommandBytesMax } from '../limits.ts';
import { knownStreams, type PodStreamFailure, type PodStreamSource } from '../pod-streams.ts';
import { flagOf } from '../query.ts';
import { readObject } from '../reading.ts';
import type { RouteHandler } from '../route-table.ts';
import {
  channels,
  commandUpgrade,
  type CommandClient,
  type CommandStreams,
} from '../streaming/remote-command.ts';
import { containerOf } from './pod-container.ts';

interface Command {
  readonly nodeName: string;
  readonly podUid: string;
  readonly container: string;
  readonly words: readonly string[];
  readonly streams: CommandStreams;
}

export function podExecHandler(
  parts: ServerParts,
  definition: ResourceDefinition,
  kind: 'exec' | 'attach',
): RouteHandler {
  const open = new Set<CommandClient>();
  return async ({ request, query, parameters }) => {
    const { namespace = '', name = '' } = parameters;
    const pod = readObject(parts, definition, namespace, name).object as Pod;
    const command = commandOf(pod, query, kind);
    if (open.size >= concurrentPodStreamsMax) {
      throw new StatusError(
        'TooManyRequests',
        `${concurrentPodStreamsMax} commands run in containers, which is the most at one time`,
        { retryAfterSeconds: 5 },
      );
    }
    const source = knownStreams(parts.podStreams);
    return commandUpgrade(request, command.streams, parts.timers, (client) => {
      open.add(client);
      const forgetClosing = parts.onClosing(() => client.abandon());
      client.onClose(() => {
        open.delete(client);
        forgetClosing();
      });
      if (kind === 'attach') {
        attach(parts, source, client, command);
      } else {
        run(parts, source, client, command);
      }
    });
  };
}

function commandOf(pod: Pod, query: URLSearchParams, kind: 'exec' | 'attach'): Command {
  const words = query.getAll('command');
  if (kind === 'exec' && words.length === 0) {
    throw new StatusError('BadRequest', 'you must specify at least one command for the container');
  }
  if (words.join(' ').length > execCommandBytesMax) {
    throw new StatusError(
      'BadRequest',
      `the command is longer than the limit of ${execCommandBytesMax} bytes`,
    );
  }
  const terminal = flagOf(query, 'tty');
  const streams = {
    input: flagOf(query, 'stdin'),
    output: flagOf(query, 'stdout'),
    // A terminal has one way out, whatever was asked for.
    errors: flagOf(query, 'stderr') && !terminal,
    terminal,
  };
  if (!streams.input && !streams.output && !streams.errors) {
    throw new StatusError('BadRequest', 'you must specify at least 1 of stdin, stdout, stderr');
  }
  const nodeName = pod.spec.nodeName ?? '';
  if (nodeName === '') {
    throw new StatusError(
      'BadRequest',
      `pod ${pod.metadata.name} does not have a host assigned: it waits for a node`,
    );
  }
  const container = containerOf(pod, query.get('container') ?? '');
  if (kind === 'attach') requireAttachable(pod, container, streams);
  return { nodeName, podUid: pod.metadata.uid ?? '', container, words, streams };
}

/** What can be said before any upgrade: the manifest tells it. */
function requireAttachable(
  { metadata, spec }: Pod,
  name: string,
  { input, terminal }: CommandStreams,
): void {
  const all = [...spec.containers, ...(spec.initContainers ?? [])];
  const container = all.find((one) => one.name === name);
  if (input && container?.stdin !== true) {
    throw new StatusError(
      'BadRequest',
      `the standard input of container ${name} in pod ${metadata.name} is empty: it takes some where its manifest says stdin: true; leave out -i`,
    );
  }
  if (terminal) {
    throw new StatusError(
      'BadRequest',
      `container ${name} in pod ${metadata.name} has no terminal of its own to attach to: leave out -t (kubectl exec -it gives a command one)`,
    );
  }
}

function run(
  parts: ServerParts,
  source: PodStreamSource,
  client: CommandClient,
  command: Command,
): void {
  const { nodeName, podUid, container, words, streams } = command;
  const stream = source.open(nodeName, 'pod.exec', { podUid, container });
  let isFinished = false;
  const end = (status: JsonObject): void => {
    if (isFinished) return;
    isFinished = true;
    stream.end();
    finish(parts, client, status);
  };
  // A stream that fails says so by `onClose`: a refused send has nothing to add.
  const send = (message: Uint8Array): Promise<void> => stream.send(message).catch(() => undefined);
  stream.onMessage((message) => {
    const [channel] = message;
    const bytes = message.subarray(1);
    if (channel === channels.output) return client.send('output', bytes);
    if (channel === channels.errors) return client.send('errors', bytes);
    if (channel === channels.status) end(JSON.parse(textOf(bytes)) as JsonObject);
    return undefined;
  });
  stream.onClose((failure) => {
    const ended = { code: 'EXEC_ENDED', message: 'the node ended the command without a word' };
    end(failureStatus(failure ?? ended));
  });
  const request = { command: words, stdin: streams.input, tty: streams.terminal };
  void send(utf8(JSON.stringify(request)));
  carryInput(client, send);
  client.onResize((bytes) => send(concatBytes([Uint8Array.of(channels.resize), bytes])));
  client.onClose(() => {
    if (isFinished) return;
    isFinished = true;
    stream.fail({ code: 'CLIENT_GONE', message: 'the client has gone away' });
  });
}

function carryInput(client: CommandClient, send: (message: Uint8Array) => Promise<void>): void {
  client.onInput((bytes) => send(concatBytes([Uint8Array.of(channels.input), bytes])));
  client.onInputEnd(() => {
    void send(Uint8Array.of(channels.close, channels.input));
  });
}

/**
 * The output of the workload from now on: its log, as nothing else is kept of it; and
 * what the client says, to the workload's own input.
 */
function attach(
  parts: ServerParts,
  source: PodStreamSource,
  client: CommandClient,
  command: Command,
): void {
  const { nodeName, podUid, container, streams } = command;
  let isOver = false;
  const input = streams.input
    ? source.open(nodeName, 'pod.exec', { podUid, container })
    : undefined;
  if (input !== undefined) {
    const send = (message: Uint8Array): Promise<void> => input.send(message).catch(() => undefined);
    input.onMessage(([channel]) => {
      // All that was said has been read.
      if (channel === channels.status) input.end();
    });
    input.onClose((failure) => {
      // That all was said is no end: what the workload answers goes on.
      if (failure === undefined || isOver) return;
      isOver = true;
      log.close();
      finish(parts, client, failureStatus(failure));
    });
    void send(utf8(JSON.stringify({ attach: true })));
    carryInput(client, send);
  }
  const log = parts.podLogs.open(
    nodeName,
    { podUid, container, follow: true, tailLines: 0 },
    {
      onBytes(bytes) {
        log.pause?.();
        void client.send('output', bytes).then(() => log.resume?.());
      },
      onEnd(failure) {
        isOver = true;
        input?.fail({ code: 'WORKLOAD_ENDED', message: 'the workload has ended' });
        finish(parts, client, failure === undefined ? success : failureStatus(failure));
      },
    },
  );
  client.onClose(() => {
    if (isOver) return;
    isOver = true;
    log.close();
    input?.fail({ code: 'CLIENT_GONE', message: 'the client has gone away' });
  });
}

const success: JsonObject = { metadata: {}, status: 'Success' };

function failureStatus({ message }: PodStreamFailure): JsonObject {
  return { metadata: {}, status: 'Failure', reason: 'InternalError', message, code: 500 };
}

function finish({ logger }: ServerParts, client: CommandClient, status: JsonObject): void {
  client.finish(status).catch((error: unknown) => {
    logger.log('debug', 'a client did not hear how its command ended', {
      error: errorText(error),
    });
  });
}

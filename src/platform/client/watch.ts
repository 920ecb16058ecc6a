/**
 * One watch: reads events as they come until it ends or is closed.
 *
 * Invariants:
 * 1. onEnd is called exactly once, after the last onEvent; never after close.
 * 2. Handlers run one after the other, in the order of the stream.
 */
import { isJsonObject } from '#base/mod.ts';
import type { ApiObject } from '#platform/api/mod.ts';
import { ClientError } from './errors.ts';
import { type BodyPart, SharedValue } from './body-pipe.ts';
import { JsonLines } from './json-lines.ts';
import { statusErrorOf } from './status-of-answer.ts';
import type { TransportResponse } from './transport.ts';
import type { WatchEvent, WatchHandlers } from './types.ts';

export function startWatch(
  open: () => Promise<TransportResponse>,
  readRefusal: (response: TransportResponse) => Promise<unknown>,
  handlers: WatchHandlers,
): { close(): void } {
  let closed = false;
  let response: TransportResponse | undefined;

  async function run(): Promise<void> {
    response = await open();
    if (closed) return response.cancel();
    if (response.status !== 200) {
      await readRefusal(response);
      throw new ClientError(
        'CLIENT_ANSWER_MALFORMED',
        `the server answered a watch with ${response.status}`,
      );
    }
    await read(response);
  }

  async function read({ body, parts }: TransportResponse): Promise<void> {
    const lines = new JsonLines();
    const take = (part: BodyPart): void => {
      if (closed) return;
      if (part instanceof SharedValue) {
        lines.requireWhole();
        handlers.onEvent(eventOf(part.value));
        return;
      }
      for (const value of lines.take(part)) {
        if (closed) return;
        handlers.onEvent(eventOf(value));
      }
    };
    if (parts === undefined) {
      for await (const part of body) {
        take(part);
        if (closed) return;
      }
    } else {
      for await (const group of parts) {
        for (const part of group) {
          take(part);
          if (closed) return;
        }
      }
    }
    lines.requireWhole();
  }

  run().then(
    () => {
      if (!closed) handlers.onEnd(undefined);
    },
    (error: unknown) => {
      response?.cancel();
      if (!closed) handlers.onEnd(error instanceof Error ? error : new Error(String(error)));
    },
  );

  return {
    close() {
      if (closed) return;
      closed = true;
      response?.cancel();
    },
  };
}

function eventOf(line: unknown): WatchEvent {
  if (isJsonObject(line) && isJsonObject(line['object'])) {
    const { object } = line;
    const type = typeof line['type'] === 'string' ? line['type'] : '';
    switch (type) {
      case 'ADDED':
      case 'MODIFIED':
      case 'DELETED':
        return {
          type,
          object: object as unknown as ApiObject,
        };
      case 'BOOKMARK': {
        const version = isJsonObject(object['metadata'])
          ? object['metadata']['resourceVersion']
          : undefined;
        if (typeof version === 'string') return { type: 'BOOKMARK', resourceVersion: version };
        break;
      }
      case 'ERROR':
        throw statusErrorOf(object, 500);
      default:
        break;
    }
  }
  throw new ClientError('CLIENT_ANSWER_MALFORMED', 'a line of the watch is not an event');
}

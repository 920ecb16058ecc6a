/**
 * Bodies of HTTP messages as they stream in.
 *
 * Invariant: a consumer that stops early leaves a request's connection usable for
 * the answer, and closes the connection of an answer.
 */
import type { IncomingMessage } from 'node:http';
import { assert } from '#base/mod.ts';
import { netErrorOf } from './net-errors.ts';

/** How much of a body that nobody wants is read, and for how long, before it is cut off. */
const drainMaxBytes = 64 << 20;
const drainTimeoutMs = 10_000;

export function expectsBody(message: IncomingMessage): boolean {
  return (
    message.headers['transfer-encoding'] !== undefined ||
    (message.headers['content-length'] ?? '0') !== '0'
  );
}

/** The body, to be read once. Raises NetError where the other side breaks off. */
export async function* bodyOf(
  message: IncomingMessage,
  onFirstRead: () => void,
): AsyncGenerator<Uint8Array> {
  onFirstRead();
  try {
    for await (const part of message.iterator({ destroyOnReturn: false })) {
      assert(part instanceof Uint8Array, 'a body is bytes');
      yield part;
    }
  } catch (thrown) {
    throw netErrorOf(thrown, 'the body broke off');
  }
}

/** Reads the rest of a request's body and drops it; resolves when it ends or is cut off. */
export function drainBody(message: IncomingMessage): Promise<void> {
  return new Promise((resolve) => {
    let drainedBytes = 0;
    const finish = (): void => {
      clearTimeout(timer);
      message.off('data', count);
      resolve();
    };
    const count = (part: Uint8Array): void => {
      drainedBytes += part.length;
      if (drainedBytes > drainMaxBytes) finish();
    };
    const timer = setTimeout(finish, drainTimeoutMs);
    if (message.complete || message.destroyed) {
      finish();
      return;
    }
    message.once('end', finish);
    message.once('close', finish);
    message.on('data', count);
    message.resume();
  });
}

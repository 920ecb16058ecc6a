/**
 * A body between a handler that writes and a client that reads, in one process.
 * Values of a stream of lines may pass by reference: who reads `parts` gets them as
 * they are, who reads bytes gets their lines.
 *
 * Invariants:
 * 1. What was written is read once, in order; then the end, or an error where
 *    the writer cut it.
 * 2. No more than pipeBytesMax wait to be read: a writer that ignores
 *    bufferedBytes is cut, never buffered without bound.
 */
import { concatBytes, utf8 } from '#base/mod.ts';
import type { ByteSink } from '#platform/io/mod.ts';
import { ClientError } from './errors.ts';

/** Far above what a well-behaved writer lets pile up. */
export const pipeBytesMax = 64 * 1024 * 1024;

type End = { readonly error: ClientError | undefined };

/** A value that the writer handed over by reference; shared, so nobody changes it. */
export class SharedValue {
  readonly value: unknown;

  constructor(value: unknown) {
    this.value = value;
  }
}

export type BodyPart = Uint8Array | SharedValue;

export class BodyPipe implements ByteSink, AsyncIterable<Uint8Array> {
  #parts: BodyPart[] = [];
  #bufferedBytes = 0;
  #end: End | undefined;
  #cancelled = false;
  #wake: (() => void) | undefined;
  readonly #onCancel: () => void;
  readonly #drainListeners: (() => void)[] = [];
  readonly #closeListeners: (() => void)[] = [];

  constructor(onCancel: () => void) {
    this.#onCancel = onCancel;
  }

  write(bytes: Uint8Array): void {
    if (bytes.length > 0) this.#push(bytes, bytes.length);
  }

  writeValue(value: unknown, sizeBytes: number): void {
    this.#push(new SharedValue(value), sizeBytes);
  }

  #push(part: BodyPart, sizeBytes: number): void {
    if (this.#end !== undefined || this.#cancelled) return;
    this.#parts.push(part);
    this.#bufferedBytes += sizeBytes;
    if (this.#bufferedBytes > pipeBytesMax) {
      this.#finish({
        error: new ClientError(
          'CLIENT_BUFFER_FULL',
          `more than ${pipeBytesMax} bytes of an answer were written without being read`,
        ),
      });
      return;
    }
    this.#wakeReader();
  }

  bufferedBytes(): number {
    return this.#bufferedBytes;
  }

  onDrain(listener: () => void): void {
    this.#drainListeners.push(listener);
  }

  onClose(listener: () => void): void {
    this.#closeListeners.push(listener);
  }

  end(): void {
    this.#finish({ error: undefined });
  }

  destroy(): void {
    this.#finish({
      error: new ClientError('CLIENT_ANSWER_CUT', 'the server cut its answer short'),
    });
  }

  /** The reader gives up: the writer hears of it and nothing more is read. */
  cancel(): void {
    if (this.#cancelled || this.#end !== undefined) return;
    this.#cancelled = true;
    this.#parts = [];
    this.#bufferedBytes = 0;
    this.#onCancel();
    this.#close();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array, void> {
    for await (const parts of this.parts()) {
      const bytes = parts.map((part) => (part instanceof SharedValue ? lineOf(part) : part));
      yield bytes.length === 1 && bytes[0] !== undefined ? bytes[0] : concatBytes(bytes);
    }
  }

  /** All that waits, each time that something does. */
  async *parts(): AsyncGenerator<readonly BodyPart[], void> {
    try {
      for (;;) {
        if (this.#parts.length > 0) {
          const parts = this.#parts;
          this.#parts = [];
          this.#bufferedBytes = 0;
          for (const listener of this.#drainListeners) listener();
          yield parts;
        } else if (this.#end?.error !== undefined) {
          throw this.#end.error;
        } else if (this.#end !== undefined || this.#cancelled) {
          return;
        } else {
          await new Promise<void>((resolve) => {
            this.#wake = resolve;
          });
        }
      }
    } finally {
      this.cancel();
    }
  }

  #finish(end: End): void {
    if (this.#end !== undefined || this.#cancelled) return;
    this.#end = end;
    this.#close();
  }

  #close(): void {
    for (const listener of this.#closeListeners) listener();
    this.#wakeReader();
  }

  #wakeReader(): void {
    const wake = this.#wake;
    this.#wake = undefined;
    wake?.();
  }
}

function lineOf({ value }: SharedValue): Uint8Array {
  return utf8(`${JSON.stringify(value)}\n`);
}

/** A body that is there already. */
export async function* onceOnly(bytes: Uint8Array | undefined): AsyncGenerator<Uint8Array, void> {
  if (bytes !== undefined && bytes.length > 0) yield bytes;
}

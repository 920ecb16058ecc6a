/**
 * A follower's copy, offered up to an owner that has lost what the copy has: over the
 * stream `slice.offer`, which the parent opens. First a statement in JSON, then the copy as
 * one whole batch, with the place in the history that it is from.
 */
import { concatBytes, isJsonObject, type JsonObject, strictTextOf, utf8 } from '#base/mod.ts';
import type { Cursor, StoredObject } from '#platform/store/mod.ts';
import type { LinkStream } from '#platform/wire/mod.ts';
import { malformed, SyncError } from './errors.ts';
import { decodeSliceMessage, encodeSliceMessage, type SliceBatch } from './slice-messages.ts';
import type { Replica } from './types.ts';

const statementType = 5;
const statementBytesMax = 64 * 1024;
const offerBytesMax = 64 * 1024 * 1024;
const offerObjectsMax = 20_000;
const messageBytesTarget = 64 * 1024;

export interface CopyOffer {
  /** What the follower says of itself beside the copy. Not verified. */
  readonly statement: JsonObject;
  /** Where in a history the copy is from. */
  readonly cursor: Cursor;
  readonly epoch: number;
  readonly objects: readonly StoredObject[];
}

/**
 * Sends what the copy holds of these resources. Fails the stream where it holds nothing yet.
 * The caller has set the stream's listeners.
 */
export function offerCopy(
  replica: Replica,
  resources: readonly string[],
  statement: JsonObject,
  stream: LinkStream,
): void {
  const { cursor, epoch } = replica;
  if (cursor === undefined) {
    stream.fail({ code: 'SYNC_NOTHING_HELD', message: 'this copy has followed nobody yet' });
    return;
  }
  const objects = resources.flatMap((resource) => replica.list(resource));
  const send = async (): Promise<void> => {
    await stream.send(concatBytes([Uint8Array.of(statementType), utf8(JSON.stringify(statement))]));
    let begin = 0;
    let part = 0;
    do {
      let end = begin;
      let sizeBytes = 0;
      while (end < objects.length && (end === begin || sizeBytes < messageBytesTarget)) {
        for (const value of Object.values(objects[end]?.facets ?? {})) {
          sizeBytes += value.bytes.length;
        }
        end += 1;
      }
      const message: SliceBatch = {
        type: 'batch',
        isReset: part === 0,
        part,
        hasMore: end < objects.length,
        ...{ ...cursor, epoch, after: 0 },
        changes: objects
          .slice(begin, end)
          .map((object) => ({ type: 'put', extent: 'whole', object })),
      };
      await stream.send(encodeSliceMessage(message));
      begin = end;
      part += 1;
    } while (begin < objects.length);
    stream.end();
  };
  // A failed stream is told to its close listener.
  send().catch(() => undefined);
}

/** The whole of an offer. Rejects with SyncError for a bad one, and where the stream fails. */
export function takeOffer(stream: LinkStream): Promise<CopyOffer> {
  return new Promise((resolve, reject) => {
    let statement: JsonObject | undefined;
    let part = 0;
    let sizeBytes = 0;
    const objects: StoredObject[] = [];
    const give = (error: SyncError): void => {
      stream.fail({ code: error.code, message: error.message });
      reject(error);
    };
    stream.onClose((failure) => {
      const why = failure?.message ?? 'it ended before it was whole';
      reject(new SyncError(failure?.code ?? 'SYNC_CLOSED', why));
    });
    stream.onMessage((bytes) => {
      try {
        sizeBytes += bytes.length;
        if (sizeBytes > offerBytesMax || objects.length > offerObjectsMax) {
          const most = `${offerObjectsMax} objects and ${offerBytesMax} bytes`;
          throw new SyncError('SYNC_TOO_LARGE', `an offer has at most ${most}`);
        }
        if (statement === undefined) {
          statement = statementIn(bytes);
          return;
        }
        const message = decodeSliceMessage(bytes);
        if (message.type !== 'batch' || message.part !== part) throw malformed('an offer');
        part += 1;
        for (const change of message.changes) {
          if (change.type !== 'put' || change.extent !== 'whole') throw malformed('an offer');
          objects.push(change.object);
        }
        if (message.hasMore) return;
        const { incarnation, sequence, chainHash, epoch } = message;
        const cursor = { incarnation, sequence: sequence as Cursor['sequence'], chainHash };
        resolve({ statement, cursor, epoch, objects });
        stream.end();
      } catch (thrown) {
        if (!(thrown instanceof SyncError)) throw thrown;
        give(thrown);
      }
    });
  });
}

function statementIn(bytes: Uint8Array): JsonObject {
  if (bytes[0] !== statementType || bytes.length > statementBytesMax)
    throw malformed('a statement');
  let value: unknown;
  try {
    value = JSON.parse(strictTextOf(bytes.subarray(1)));
  } catch {
    throw malformed('a statement');
  }
  if (!isJsonObject(value)) throw malformed('a statement');
  return value;
}

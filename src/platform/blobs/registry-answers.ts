/** Answers of the registry protocol: errors as the distribution specification words them, and bytes. */
import { type Json, type JsonObject, utf8 } from '#base/mod.ts';
import { BodyTooLargeError, type ByteSink, type HttpResponse } from '#platform/io/mod.ts';
import { BlobError, type BlobErrorCode } from './errors.ts';

export type RegistryErrorCode =
  | 'BLOB_UNKNOWN'
  | 'BLOB_UPLOAD_INVALID'
  | 'BLOB_UPLOAD_UNKNOWN'
  | 'DIGEST_INVALID'
  | 'MANIFEST_BLOB_UNKNOWN'
  | 'MANIFEST_INVALID'
  | 'MANIFEST_UNKNOWN'
  | 'NAME_INVALID'
  | 'NAME_UNKNOWN'
  | 'SIZE_INVALID'
  | 'UNSUPPORTED'
  | 'TOOMANYREQUESTS'
  | 'INSUFFICIENT_STORAGE';

/** Thrown by the handlers of the registry, answered at its door. */
export class RegistryRefusal extends Error {
  override readonly name = 'RegistryRefusal';
  readonly status: number;
  readonly code: RegistryErrorCode;
  readonly detail: Json;
  readonly headers: Readonly<Record<string, string>>;

  constructor(
    status: number,
    code: RegistryErrorCode,
    message: string,
    more: { detail?: Json; headers?: Readonly<Record<string, string>> } = {},
  ) {
    super(message);
    this.status = status;
    this.code = code;
    this.detail = more.detail ?? null;
    this.headers = more.headers ?? {};
  }
}

const refusalOfBlobError: Readonly<Record<BlobErrorCode, readonly [number, RegistryErrorCode]>> = {
  BLOB_NOT_FOUND: [404, 'BLOB_UNKNOWN'],
  BLOB_TOO_LARGE: [413, 'SIZE_INVALID'],
  BLOB_DIGEST_MISMATCH: [400, 'DIGEST_INVALID'],
  BLOB_DIGEST_INVALID: [400, 'DIGEST_INVALID'],
  BLOB_NO_SPACE: [507, 'INSUFFICIENT_STORAGE'],
  BLOB_TOO_MANY_UPLOADS: [429, 'TOOMANYREQUESTS'],
  BLOB_UPLOAD_ENDED: [404, 'BLOB_UPLOAD_UNKNOWN'],
  BLOB_DAMAGED: [500, 'BLOB_UNKNOWN'],
  IMAGE_REFERENCE_INVALID: [400, 'NAME_INVALID'],
  IMAGE_MANIFEST_INVALID: [400, 'MANIFEST_INVALID'],
  IMAGE_TAGS_FULL: [507, 'INSUFFICIENT_STORAGE'],
};

/** The answer to something thrown; undefined for what is not the registry's to explain. */
export function answerToError(thrown: unknown): HttpResponse | undefined {
  if (thrown instanceof RegistryRefusal) return answerToRefusal(thrown);
  if (thrown instanceof BlobError) {
    const [status, code] = refusalOfBlobError[thrown.code];
    return answerToRefusal(new RegistryRefusal(status, code, thrown.message));
  }
  if (thrown instanceof BodyTooLargeError) {
    return answerToRefusal(new RegistryRefusal(413, 'SIZE_INVALID', thrown.message));
  }
  return undefined;
}

function answerToRefusal({
  status,
  code,
  message,
  detail,
  headers,
}: RegistryRefusal): HttpResponse {
  return jsonAnswer(status, { errors: [{ code, message, detail }] }, headers);
}

export function jsonAnswer(
  status: number,
  value: JsonObject,
  headers: Readonly<Record<string, string>> = {},
): HttpResponse {
  const body = utf8(JSON.stringify(value));
  return {
    status,
    headers: {
      'content-type': 'application/json',
      'content-length': String(body.length),
      'docker-distribution-api-version': 'registry/2.0',
      ...headers,
    },
    body,
  };
}

/** An answer without a body. */
export function emptyAnswer(
  status: number,
  headers: Readonly<Record<string, string>> = {},
): HttpResponse {
  return {
    status,
    headers: {
      'content-length': '0',
      'docker-distribution-api-version': 'registry/2.0',
      ...headers,
    },
    body: new Uint8Array(0),
  };
}

const sinkBytesMax = 1024 * 1024;

/** Sends at most `lengthBytes` of `source`, waiting whenever the client reads too slowly. */
export function streamBytes(
  source: AsyncIterable<Uint8Array>,
  lengthBytes: number,
): (sink: ByteSink) => void {
  return (sink) => {
    const client = { gone: false };
    let wake: (() => void) | undefined;
    sink.onClose(() => {
      client.gone = true;
      wake?.();
    });
    sink.onDrain(() => wake?.());
    async function pump(): Promise<void> {
      let leftBytes = lengthBytes;
      for await (const part of source) {
        const bytes = part.length > leftBytes ? part.subarray(0, leftBytes) : part;
        leftBytes -= bytes.length;
        sink.write(bytes);
        if (leftBytes === 0) break;
        while (!client.gone && sink.bufferedBytes() > sinkBytesMax) {
          await new Promise<void>((resolve) => {
            wake = resolve;
          });
        }
        if (client.gone) return;
      }
      // Fewer bytes than promised: the client must not take the answer for whole.
      if (leftBytes > 0) sink.destroy();
      else sink.end();
    }
    pump().catch(() => sink.destroy());
  };
}

/** Answers as bytes: JSON, plain text, `Status` objects for everything that was refused. */
import { errorText, type JsonObject, SelvageError, utf8 } from '#base/mod.ts';
import { StatusError } from '#platform/api/mod.ts';
import { BodyTooLargeError, type HttpResponse, type Logger } from '#platform/io/mod.ts';

export const jsonContentType = 'application/json';

/** `pretty` indents, for people who read with curl. */
export function jsonAnswer(
  status: number,
  value: unknown,
  options: {
    readonly pretty?: boolean;
    readonly contentType?: string;
    readonly headers?: Readonly<Record<string, string>>;
  } = {},
): HttpResponse {
  const text =
    options.pretty === true ? `${JSON.stringify(value, null, 2)}\n` : JSON.stringify(value);
  return bytesAnswer(status, utf8(text), options.contentType ?? jsonContentType, options.headers);
}

export function textAnswer(status: number, text: string): HttpResponse {
  return bytesAnswer(status, utf8(text), 'text/plain; charset=utf-8');
}

export function bytesAnswer(
  status: number,
  body: Uint8Array,
  contentType: string,
  headers: Readonly<Record<string, string>> = {},
): HttpResponse {
  return {
    status,
    headers: {
      'content-type': contentType,
      'content-length': String(body.length),
      'cache-control': 'no-cache, private',
      'x-content-type-options': 'nosniff',
      ...headers,
    },
    body,
  };
}

/** The length of the text in bytes is the driver's to say. */
export function jsonTextAnswer(
  status: number,
  text: string,
  headers: Readonly<Record<string, string>>,
): HttpResponse {
  return { status, headers: { ...jsonHeaders, ...headers }, body: text };
}

const jsonHeaders = {
  'content-type': jsonContentType,
  'cache-control': 'no-cache, private',
  'x-content-type-options': 'nosniff',
};

/** `?pretty`, `?pretty=true` and `?pretty=1` ask for indentation. */
export function isPretty(query: URLSearchParams): boolean {
  const value = query.get('pretty');
  return value !== null && value !== 'false' && value !== '0';
}

/**
 * Anything thrown, as a StatusError: the store's and the ports' own errors by
 * their code. What is nobody's to explain becomes a 500 without details, and is logged.
 */
export function statusErrorOf(thrown: unknown, logger: Logger): StatusError {
  if (thrown instanceof StatusError) return thrown;
  if (thrown instanceof BodyTooLargeError) {
    return new StatusError(
      'RequestEntityTooLarge',
      `the request body is larger than the limit of ${thrown.maxBytes} bytes`,
      { cause: thrown },
    );
  }
  const translated = thrown instanceof SelvageError ? translate(thrown) : undefined;
  if (translated !== undefined && translated.httpStatus !== 500) return translated;
  logger.log('error', 'a request failed unexpectedly', {
    error: errorText(thrown),
    ...(thrown instanceof Error && thrown.stack !== undefined ? { stack: thrown.stack } : {}),
  });
  if (translated !== undefined) return translated;
  return new StatusError('InternalError', 'Internal error occurred; the server has logged it', {
    cause: thrown,
  });
}

function translate(error: SelvageError): StatusError | undefined {
  switch (error.code) {
    case 'STORE_FULL':
    case 'DISK_NO_SPACE':
      return new StatusError(
        'InsufficientStorage',
        'the server has no space left on its disk: nothing was changed and reads go on; ' +
          'make room under its state folder and try again',
        { cause: error },
      );
    case 'STORE_LATCHED':
      return new StatusError(
        'ServiceUnavailable',
        'the server takes no more changes since a write to its disk failed: whether this change is kept is ' +
          'unknown and reads go on; check the disk under its state folder and restart the server',
        { cause: error },
      );
    case 'DISK_IO':
      return new StatusError(
        'InternalError',
        "the server's disk failed to read or write: this request was not carried out; " +
          'check the disk under its state folder',
        { cause: error },
      );
    case 'STORE_BUSY':
      return new StatusError(
        'TooManyRequests',
        'too many changes wait for the disk of the server: try again',
        { cause: error, retryAfterSeconds: 1 },
      );
    case 'STORE_TOO_LARGE':
      return new StatusError('RequestEntityTooLarge', error.message, { cause: error });
    default:
      return undefined;
  }
}

export function statusAnswer(error: StatusError): HttpResponse {
  const { retryAfterSeconds } = error.options;
  return jsonAnswer(error.httpStatus, error.toStatus(), {
    headers: retryAfterSeconds === undefined ? {} : { 'retry-after': String(retryAfterSeconds) },
  });
}

/** The `Status` that answers a success which has no object to show. */
export function successStatus(details: JsonObject): JsonObject {
  return {
    kind: 'Status',
    apiVersion: 'v1',
    metadata: {},
    status: 'Success',
    details,
  };
}

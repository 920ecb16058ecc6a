/** From the server's `Status` objects back to the error that they were. */
import { isJsonObject, type JsonObject } from '#base/mod.ts';
import {
  StatusError,
  type StatusCause,
  type StatusErrorOptions,
  type StatusReason,
} from '#platform/api/mod.ts';

const reasonOfHttpStatus: Readonly<Record<number, StatusReason>> = {
  400: 'BadRequest',
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'NotFound',
  405: 'MethodNotAllowed',
  406: 'NotAcceptable',
  409: 'Conflict',
  410: 'Gone',
  413: 'RequestEntityTooLarge',
  415: 'UnsupportedMediaType',
  422: 'Invalid',
  429: 'TooManyRequests',
  503: 'ServiceUnavailable',
  504: 'Timeout',
  507: 'InsufficientStorage',
};

const knownReasons: ReadonlySet<string> = new Set<StatusReason>([
  'AlreadyExists',
  'Expired',
  'InternalError',
  ...Object.values(reasonOfHttpStatus),
]);

/** The error that `value`, a Status object, stands for; from the code alone where it is none. */
export function statusErrorOf(value: unknown, httpStatus: number): StatusError {
  const status: JsonObject = isJsonObject(value) && value['kind'] === 'Status' ? value : {};
  const code = typeof status['code'] === 'number' ? status['code'] : httpStatus;
  const reason = status['reason'];
  const message = status['message'];
  return new StatusError(
    typeof reason === 'string' && knownReasons.has(reason)
      ? (reason as StatusReason)
      : (reasonOfHttpStatus[code] ?? 'InternalError'),
    typeof message === 'string' ? message : `the server answered ${code} without saying why`,
    detailsOf(status['details']),
  );
}

function detailsOf(details: unknown): StatusErrorOptions {
  if (!isJsonObject(details)) return {};
  const { kind, group, name, uid, causes, retryAfterSeconds } = details;
  return {
    ...(typeof kind === 'string' ? { kind } : {}),
    ...(typeof group === 'string' ? { group } : {}),
    ...(typeof name === 'string' ? { name } : {}),
    ...(typeof uid === 'string' ? { uid } : {}),
    ...(Array.isArray(causes) ? { causes: causes.filter(isJsonObject).map(causeOf) } : {}),
    ...(typeof retryAfterSeconds === 'number' ? { retryAfterSeconds } : {}),
  };
}

function causeOf(cause: JsonObject): StatusCause {
  const word = (name: string): string => {
    const value = cause[name];
    return typeof value === 'string' ? value : '';
  };
  return { reason: word('reason'), message: word('message'), field: word('field') };
}

/**
 * Errors as the Kubernetes API answers them: a `Status` object that names the
 * field, what was wrong with it and what to do. The only error type that the
 * API front turns into something other than a 500.
 */
import { type JsonObject, SelvageError } from '#base/mod.ts';

export interface StatusCause {
  readonly reason: string;
  readonly message: string;
  /** JSON path in Kubernetes notation: `spec.containers[0].image`; absent for what is about no field. */
  readonly field?: string;
}

export interface StatusErrorOptions {
  readonly kind?: string;
  readonly group?: string;
  readonly name?: string;
  readonly uid?: string;
  readonly causes?: readonly StatusCause[];
  readonly retryAfterSeconds?: number;
  readonly cause?: unknown;
}

export type StatusReason =
  | 'BadRequest'
  | 'Unauthorized'
  | 'Forbidden'
  | 'NotFound'
  | 'MethodNotAllowed'
  | 'NotAcceptable'
  | 'AlreadyExists'
  | 'Conflict'
  | 'Expired'
  | 'Gone'
  | 'RequestEntityTooLarge'
  | 'UnsupportedMediaType'
  | 'Invalid'
  | 'TooManyRequests'
  | 'InsufficientStorage'
  | 'InternalError'
  | 'ServiceUnavailable'
  | 'Timeout';

const httpStatusOfReason: Readonly<Record<StatusReason, number>> = {
  BadRequest: 400,
  Unauthorized: 401,
  Forbidden: 403,
  NotFound: 404,
  MethodNotAllowed: 405,
  NotAcceptable: 406,
  AlreadyExists: 409,
  Conflict: 409,
  Expired: 410,
  Gone: 410,
  RequestEntityTooLarge: 413,
  UnsupportedMediaType: 415,
  Invalid: 422,
  TooManyRequests: 429,
  InsufficientStorage: 507,
  InternalError: 500,
  ServiceUnavailable: 503,
  Timeout: 504,
};

/** Every reason, in the order of its HTTP status. */
export const statusReasons = Object.keys(httpStatusOfReason) as readonly StatusReason[];

export class StatusError extends SelvageError {
  override readonly name = 'StatusError';
  readonly reason: StatusReason;
  readonly httpStatus: number;
  readonly options: StatusErrorOptions;

  constructor(reason: StatusReason, message: string, options: StatusErrorOptions = {}) {
    super(`API_${reason.toUpperCase()}`, message, {
      cause: options.cause,
      retryable: ['Conflict', 'TooManyRequests', 'ServiceUnavailable', 'Timeout'].includes(reason),
    });
    this.reason = reason;
    this.httpStatus = httpStatusOfReason[reason];
    this.options = options;
  }

  /** The `Status` object to serve. */
  toStatus(): JsonObject {
    const details: JsonObject = {};
    const { kind, group, name, uid, causes, retryAfterSeconds } = this.options;
    if (name !== undefined) details['name'] = name;
    if (group !== undefined && group !== '') details['group'] = group;
    if (kind !== undefined) details['kind'] = kind;
    if (uid !== undefined) details['uid'] = uid;
    if (causes !== undefined) details['causes'] = causes.map((cause) => ({ ...cause }));
    if (retryAfterSeconds !== undefined) details['retryAfterSeconds'] = retryAfterSeconds;
    // Clients look into the details of what was not found without asking whether there are any.
    const hasDetails = this.reason === 'NotFound' || Object.keys(details).length > 0;
    return {
      kind: 'Status',
      apiVersion: 'v1',
      metadata: {},
      status: 'Failure',
      message: this.message,
      reason: this.reason,
      ...(hasDetails ? { details } : {}),
      code: this.httpStatus,
    };
  }
}

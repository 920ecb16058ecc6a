/**
 * The first frame each way. Both sides name the versions they speak; both then
 * compute the same answer, so no third message is needed.
 */
import { concatBytes, equalBytes, isJsonObject, strictTextOf, textOf, utf8 } from '#base/mod.ts';
import { LinkError } from './errors.ts';
import {
  comeBackAfterMsMax,
  creditBytesMin,
  textFrameBytesMax,
  type LinkLimits,
} from './limits.ts';
import type { StreamFailure } from './types.ts';

/** Raised when a change on the wire cannot be understood by the version before. */
export const protocolVersion = 2;
/**
 * Parents are upgraded before their children, so they speak what the children did: version
 * 1 had its heartbeats on a stream, `node.heartbeat`.
 */
export const protocolVersionOldest = { parent: 1, child: 2 } as const;

const magic = utf8('SLVG');
const productLengthMax = 200;
const failureTextLengthMax = 1000;

export interface Hello {
  readonly role: 'parent' | 'child';
  readonly versionOldest: number;
  readonly versionNewest: number;
  readonly product: string;
  /** What the sender of this hello accepts. */
  readonly messageBytesMax: number;
  readonly streamsMax: number;
  readonly streamCreditBytes: number;
  readonly bulkCreditBytes: number;
  readonly livenessTimeoutMs: number;
  /** A parent that is overloaded: the child comes back after this. */
  readonly comeBackAfterMs?: number;
}

export function encodeHello(
  role: 'parent' | 'child',
  product: string,
  limits: LinkLimits,
  comeBackAfterMs: number | undefined,
): Uint8Array {
  const hello: Hello = {
    role,
    versionOldest: protocolVersionOldest[role],
    versionNewest: protocolVersion,
    product: product.slice(0, productLengthMax),
    messageBytesMax: limits.messageBytesMax,
    streamsMax: limits.streamsMax,
    streamCreditBytes: limits.streamCreditBytes,
    bulkCreditBytes: limits.bulkCreditBytesMin,
    livenessTimeoutMs: limits.livenessTimeoutMs,
    ...(comeBackAfterMs === undefined ? {} : { comeBackAfterMs }),
  };
  return concatBytes([magic, utf8(JSON.stringify(hello))]);
}

/** Throws LinkError LINK_PROTOCOL for anything that is not a hello. */
export function decodeHello(payload: Uint8Array): Hello {
  if (!equalBytes(payload.subarray(0, magic.length), magic)) {
    throw new LinkError('LINK_PROTOCOL', 'the other side does not speak the link protocol');
  }
  const value = parseObject(payload.subarray(magic.length));
  const number = (name: string, minimum: number, maximum: number): number => {
    const found = value[name];
    if (typeof found !== 'number' || !Number.isSafeInteger(found) || found < minimum) {
      throw new LinkError('LINK_PROTOCOL', `the handshake's ${name} is not a number in range`);
    }
    return Math.min(found, maximum);
  };
  const { role, product } = value;
  if ((role !== 'parent' && role !== 'child') || typeof product !== 'string') {
    throw new LinkError('LINK_PROTOCOL', 'the handshake lacks role or product');
  }
  return {
    role,
    product: product.slice(0, productLengthMax),
    versionOldest: number('versionOldest', 0, 0xffff),
    versionNewest: number('versionNewest', 0, 0xffff),
    messageBytesMax: number('messageBytesMax', 1, 2 ** 30),
    streamsMax: number('streamsMax', 1, 2 ** 20),
    streamCreditBytes: number('streamCreditBytes', creditBytesMin, 2 ** 30),
    bulkCreditBytes: number('bulkCreditBytes', creditBytesMin, 2 ** 30),
    livenessTimeoutMs: number('livenessTimeoutMs', 1, 2 ** 31),
    ...(value['comeBackAfterMs'] === undefined
      ? {}
      : { comeBackAfterMs: number('comeBackAfterMs', 0, comeBackAfterMsMax) }),
  };
}

/** The version both speak. Throws LinkError LINK_VERSION where there is none. */
export function agreeVersion(role: 'parent' | 'child', remote: Hello): number {
  const oldest = protocolVersionOldest[role];
  const newest = Math.min(protocolVersion, remote.versionNewest);
  if (newest >= Math.max(oldest, remote.versionOldest)) return newest;
  throw new LinkError(
    'LINK_VERSION',
    `this side speaks link versions ${oldest} to ${protocolVersion}, ` +
      `${remote.product} speaks ${remote.versionOldest} to ${remote.versionNewest}`,
  );
}

export function encodeFailure(failure: StreamFailure): Uint8Array {
  const shortened = {
    code: failure.code.slice(0, 100),
    message: failure.message.slice(0, failureTextLengthMax),
  };
  const bytes = utf8(JSON.stringify(shortened));
  return bytes.length <= textFrameBytesMax
    ? bytes
    : utf8(JSON.stringify({ code: shortened.code, message: '' }));
}

/** Lenient: whatever the other side meant, something failed. */
export function decodeFailure(payload: Uint8Array): StreamFailure {
  try {
    const { code, message } = parseObject(payload);
    if (typeof code === 'string' && typeof message === 'string') {
      return { code: code.slice(0, 100), message: message.slice(0, failureTextLengthMax) };
    }
  } catch {
    // Falls through to the general answer.
  }
  return {
    code: 'LINK_CLOSED',
    message: `the other side gave up: ${textOf(payload).slice(0, 200)}`,
  };
}

/** Throws LinkError LINK_PROTOCOL for anything but one JSON object in UTF-8. */
export function parseObject(payload: Uint8Array): Readonly<Record<string, unknown>> {
  let value: unknown;
  try {
    value = JSON.parse(strictTextOf(payload));
  } catch {
    throw new LinkError('LINK_PROTOCOL', 'a frame that should carry JSON does not');
  }
  if (!isJsonObject(value)) throw new LinkError('LINK_PROTOCOL', 'a frame should carry an object');
  return value;
}

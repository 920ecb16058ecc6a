/**
 * Bodies that clients send as `application/vnd.kubernetes.protobuf`, as the same values
 * that JSON would have brought. What Go clients write for a field that is not set (zeros
 * of fields that are no pointers) counts as absent, as in JSON.
 *
 * Invariant: nothing that was set is lost: a field that is not known here refuses the body.
 */
import type { Json, JsonObject } from '#base/mod.ts';
import { timestampOf } from '#platform/io/mod.ts';
import { base64Of } from '../meta/base64.ts';
import { StatusError } from '../status-error.ts';
import type { ParsedJson } from '../strict-json.ts';
import type { MessageField } from './message.ts';
import { messageOfKind, messages } from './messages.ts';
import { bytesIn, integerIn, malformed, textIn, wireFields } from './wire-format.ts';

/** `k8s` and a NUL stand before every such body. */
const prefix = [0x6b, 0x38, 0x73, 0x00];
const depthMax = 16;
const valuesMax = 100_000;
/** The years 1 to 9999, which have four digits, as seconds since 1970. */
const secondsMin = -62_135_596_800;
const secondsMax = 253_402_300_799;

interface Reading {
  values: number;
}

/** Throws 400 for what cannot be read, 415 for a kind that is read as JSON only. */
export function parseKubernetesProtobuf(bytes: Uint8Array): ParsedJson {
  if (prefix.some((byte, index) => bytes[index] !== byte)) {
    throw malformed('it does not begin as bodies of the Kubernetes API do');
  }
  let apiVersion = '';
  let kind = '';
  let raw: Uint8Array = new Uint8Array(0);
  for (const { number, value } of wireFields(bytes.subarray(prefix.length))) {
    if (number === 1) {
      for (const inner of wireFields(bytesIn(value))) {
        if (inner.number === 1) apiVersion = textIn(inner.value);
        if (inner.number === 2) kind = textIn(inner.value);
      }
    } else if (number === 2) {
      raw = bytesIn(value);
    } else if (bytesIn(value).length > 0) {
      throw malformed('it is encoded once more');
    }
  }
  // A deletion's options come in the version of whatever is deleted.
  const name = kind === 'DeleteOptions' ? kind : messageOfKind[`${apiVersion}/${kind}`];
  if (name === undefined) {
    throw new StatusError(
      'UnsupportedMediaType',
      `${kind || 'the object'} in version ${JSON.stringify(apiVersion)} is read as JSON or YAML here, not as protobuf: ` +
        'send JSON, for instance with "kubectl create -f FILE" instead of a kubectl generator',
    );
  }
  const value = { apiVersion, kind, ...messageIn(name, raw, 0, { values: 0 }) };
  return { value, duplicates: [] };
}

function messageIn(name: string, bytes: Uint8Array, depth: number, reading: Reading): JsonObject {
  if (depth > depthMax) throw malformed('it is nested too deeply');
  const fields = messages[name];
  const object: JsonObject = {};
  for (const { number, value } of wireFields(bytes)) {
    reading.values += 1;
    if (reading.values > valuesMax) throw malformed(`it has more than ${valuesMax} values`);
    const field = fields?.[number];
    if (field === undefined) {
      if (isZero(value)) continue;
      throw malformed(
        `field ${number} of ${name} is not known here: send it as JSON, and it is named`,
      );
    }
    // What the server observes is not a client's to say.
    if (field.type === '-') continue;
    put(object, field, value, depth, reading);
  }
  return object;
}

function put(
  object: JsonObject,
  field: MessageField,
  value: bigint | Uint8Array,
  depth: number,
  reading: Reading,
): void {
  const { name, type, shape, isPointer } = field;
  if (shape === 'inline') {
    Object.assign(object, messageIn(type, bytesIn(value), depth + 1, reading));
    return;
  }
  if (shape === 'list') {
    const list = (object[name] ??= []) as Json[];
    list.push(valueIn(type, value, depth, reading));
    return;
  }
  if (shape === 'map') {
    let key = '';
    let entry: bigint | Uint8Array | undefined;
    for (const part of wireFields(bytesIn(value))) {
      if (part.number === 1) key = textIn(part.value);
      if (part.number === 2) entry = part.value;
    }
    const map = (object[name] ??= {}) as JsonObject;
    const read = entry === undefined ? emptyOf(type) : valueIn(type, entry, depth, reading);
    // Not by assignment, which would set a prototype for one name.
    Object.defineProperty(map, key, {
      value: read,
      enumerable: true,
      writable: true,
      configurable: true,
    });
    return;
  }
  const read = valueIn(type, value, depth, reading);
  const isUnset = read === '' || read === 0 || read === false || read === null;
  if (isUnset && !isPointer) return;
  if (read !== null) object[name] = read;
}

function valueIn(type: string, value: bigint | Uint8Array, depth: number, reading: Reading): Json {
  switch (type) {
    case 'string':
      return textIn(value);
    case 'integer':
      return integerIn(value);
    case 'boolean':
      return integerIn(value) !== 0;
    case 'bytes':
      return base64Of(bytesIn(value));
    case 'texts':
      return Array.from(wireFields(bytesIn(value)), (part) => textIn(part.value));
    case 'quantity':
      return partsOf(value).text(1);
    case 'time': {
      const seconds = partsOf(value).integer(1);
      if (seconds < secondsMin || seconds > secondsMax) {
        throw malformed('a time in it is not in the years 1 to 9999');
      }
      return seconds === 0 ? null : timestampOf(seconds * 1000);
    }
    case 'int-or-string': {
      const parts = partsOf(value);
      return parts.integer(1) === 1 ? parts.text(3) : parts.integer(2);
    }
    default:
      return messageIn(type, bytesIn(value), depth + 1, reading);
  }
}

function emptyOf(type: string): Json {
  return type === 'quantity' ? '0' : '';
}

/** The fields of a small message by their numbers; absent ones are empty. */
function partsOf(value: bigint | Uint8Array): {
  text: (number: number) => string;
  integer: (number: number) => number;
} {
  const parts = new Map(
    Array.from(wireFields(bytesIn(value)), (part) => [part.number, part.value]),
  );
  return {
    text(number) {
      const part = parts.get(number);
      return part === undefined ? '' : textIn(part);
    },
    integer(number) {
      const part = parts.get(number);
      return part === undefined ? 0 : integerIn(part);
    },
  };
}

function isZero(value: bigint | Uint8Array): boolean {
  return typeof value === 'bigint' ? value === 0n : value.length === 0;
}

/** What may come up from a child, judged before anything acts on it. */
import { isJsonObject, type JsonObject } from '#base/mod.ts';
import type { ObjectKey } from '#platform/store/mod.ts';
import type { UpwardEntry } from './types.ts';

/** As JSON; also the most that one entry may be in an outbox. */
export const entryBytesMax = 256 * 1024;
const textLengthMax = 4096;
const nameLengthMax = 512;

/** The entry, or why it is none. Extra fields are dropped. */
export function parseUpwardEntry(value: unknown): UpwardEntry | { readonly refused: string } {
  if (!isJsonObject(value)) return { refused: 'an entry is an object' };
  if (value['type'] === 'report') {
    const { key, uid, report } = value;
    const parsed = parseKey(key);
    if (parsed === undefined || !isName(uid)) return { refused: 'a report names its object' };
    if (!isJsonObject(report)) return { refused: 'a report carries an object' };
    return { type: 'report', key: parsed, uid, report };
  }
  if (value['type'] === 'event') return parseEvent(value);
  if (value['type'] === 'gap') {
    const { cause, droppedCount } = value;
    if (cause === 'disk') return { type: 'gap', cause };
    if (typeof droppedCount !== 'number' || !Number.isSafeInteger(droppedCount)) {
      return { refused: 'a gap says how many' };
    }
    return { type: 'gap', cause: 'space', class: 'event', droppedCount };
  }
  return { refused: 'an entry is a report, an event or a gap' };
}

function parseEvent(value: JsonObject): UpwardEntry | { readonly refused: string } {
  const { regarding, severity, reason, message, atWallMs } = value;
  if (!isJsonObject(regarding)) return { refused: 'an event regards an object' };
  const key = parseKey(regarding['key']);
  const { uid, kind } = regarding;
  if (key === undefined || !isName(uid) || !isName(kind)) {
    return { refused: 'an event names its object' };
  }
  if (severity !== 'Normal' && severity !== 'Warning') {
    return { refused: 'an event is Normal or Warning' };
  }
  if (!isName(reason) || typeof message !== 'string' || typeof atWallMs !== 'number') {
    return { refused: 'an event has a reason, a message and a time' };
  }
  const shortened = message.slice(0, textLengthMax);
  return {
    type: 'event',
    regarding: { key, uid, kind },
    severity,
    reason,
    message: shortened,
    atWallMs,
  };
}

function parseKey(value: unknown): ObjectKey | undefined {
  if (!isJsonObject(value)) return undefined;
  const { resource, namespace, name } = value;
  if (!isName(resource) || !isName(name) || typeof namespace !== 'string') return undefined;
  if (namespace.length > nameLengthMax) return undefined;
  return { resource, namespace, name };
}

function isName(value: unknown): value is string {
  return typeof value === 'string' && value !== '' && value.length <= nameLengthMax;
}

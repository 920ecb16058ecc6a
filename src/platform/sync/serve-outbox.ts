/**
 * The parent's end of an outbox: says how far it is, applies what comes, and
 * acknowledges what is applied. A message is `[[sequence, entry], …]`; an answer
 * `{"applied": sequence}`.
 */
import { AssertionFailure, errorText, strictTextOf, utf8 } from '#base/mod.ts';
import { SyncError } from './errors.ts';
import type { SequencedEntry, ServeOutbox } from './types.ts';
import { entryBytesMax, parseUpwardEntry } from './upward-entry.ts';

const entriesPerMessageMax = 64;

export const serveOutbox: ServeOutbox = (stream, parameters, options) => {
  const incarnation = parameters['outboxIncarnation'];
  if (typeof incarnation !== 'string' || incarnation === '' || incarnation.length > 128) {
    stream.fail({ code: 'SYNC_MALFORMED', message: 'an outbox says its incarnation' });
    return;
  }
  let last = options.lastApplied(incarnation);
  const answer = (): void => {
    // A failed stream is told to its close listener.
    stream.send(utf8(JSON.stringify({ applied: last }))).catch(() => undefined);
  };
  stream.onClose(() => {});
  stream.onMessage(async (message) => {
    try {
      const { entries, lastSequence } = parseMessage(message, last, options.onRefused);
      if (lastSequence > last) await options.apply(incarnation, entries, lastSequence);
      last = Math.max(last, lastSequence);
      answer();
    } catch (thrown) {
      if (thrown instanceof AssertionFailure) throw thrown;
      const code = thrown instanceof SyncError ? thrown.code : 'SYNC_NOT_APPLIED';
      stream.fail({ code, message: errorText(thrown) });
    }
  });
  answer();
};

function parseMessage(
  message: Uint8Array,
  last: number,
  onRefused: ((sequence: number, reason: string) => void) | undefined,
): { entries: SequencedEntry[]; lastSequence: number } {
  let value: unknown;
  try {
    value = JSON.parse(strictTextOf(message));
  } catch {
    throw new SyncError('SYNC_MALFORMED', 'an outbox message is JSON');
  }
  if (!Array.isArray(value) || value.length > entriesPerMessageMax) {
    throw new SyncError('SYNC_MALFORMED', 'an outbox message is a short list');
  }
  const entries: SequencedEntry[] = [];
  let previous = 0;
  for (const item of value) {
    const sequence: unknown = Array.isArray(item) ? item[0] : undefined;
    if (typeof sequence !== 'number' || !Number.isSafeInteger(sequence) || sequence <= previous) {
      throw new SyncError('SYNC_MALFORMED', 'the sequences of an outbox rise');
    }
    previous = sequence;
    // Sent again because its acknowledgement was lost.
    if (sequence <= last) continue;
    const raw: unknown = Array.isArray(item) ? item[1] : undefined;
    // No entry is larger than the message that it is in.
    const isLarge =
      message.length > entryBytesMax && JSON.stringify(raw ?? null).length > entryBytesMax;
    const entry = isLarge ? { refused: 'the entry is too large' } : parseUpwardEntry(raw);
    if ('refused' in entry) onRefused?.(sequence, entry.refused);
    else entries.push({ sequence, entry });
  }
  return { entries, lastSequence: previous };
}

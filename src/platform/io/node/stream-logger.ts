/**
 * Log lines as JSON, one object a line: {"time","level","message", …fields}. A
 * field cannot replace those three, and one that is an Error is written as its
 * text. `write` gets the line with its line feed.
 */
import { timestampOf } from '../clock.ts';
import type { Logger, LogLevel } from '../log-sink.ts';

const rankOfLevel: Readonly<Record<LogLevel, number>> = { debug: 0, info: 1, warn: 2, error: 3 };
const lineMaxLength = 16_384;

function fieldOf(value: unknown): unknown {
  if (value instanceof Error) {
    const code = 'code' in value && typeof value.code === 'string' ? { code: value.code } : {};
    const cause = value.cause === undefined ? {} : { cause: fieldOf(value.cause) };
    return { error: value.message, ...code, ...cause };
  }
  return typeof value === 'bigint' ? String(value) : value;
}

/** A logger that gives every line of `level` or above to `write`. */
export function createStreamLogger(write: (line: string) => void, level: LogLevel): Logger {
  const loggerWith = (bound: Readonly<Record<string, unknown>>): Logger => ({
    log: (lineLevel, message, fields = {}) => {
      if (rankOfLevel[lineLevel] < rankOfLevel[level]) return;
      const head = { time: timestampOf(Date.now()), level: lineLevel, message };
      const all: Record<string, unknown> = { ...head };
      for (const [name, value] of Object.entries({ ...bound, ...fields })) {
        if (!(name in head)) all[name] = fieldOf(value);
      }
      write(`${lineOf(all)}\n`);
    },
    with: (fields) => loggerWith({ ...bound, ...fields }),
  });
  return loggerWith({});
}

function lineOf(line: Record<string, unknown>): string {
  let text: string;
  try {
    text = JSON.stringify(line);
  } catch {
    // A field that refers to itself must not silence the message.
    text = JSON.stringify({ ...headOf(line), fields: 'not representable as JSON' });
  }
  if (text.length <= lineMaxLength) return text;
  const head = headOf(line);
  const message = String(head['message']).slice(0, lineMaxLength / 2);
  return JSON.stringify({ ...head, message, fields: `dropped: ${text.length} characters` });
}

function headOf(line: Record<string, unknown>): Record<string, unknown> {
  return { time: line['time'], level: line['level'], message: line['message'] };
}

/**
 * How far something long is, a transfer or a start: on a terminal in one line that goes away again, with a bar
 * where its end is known; elsewhere in plain lines, few of them.
 */
import type { CliContext } from './context.ts';

const mebibyte = 1024 * 1024;
const showEveryBytes = mebibyte;
const lineEveryBytes = 64 * mebibyte;
const barCharacters = 24;

/** `totalBytes`: of all of it; undefined where nobody knows. */
export function createProgress(
  context: CliContext,
  what: string,
  totalBytes?: number,
): { show(bytes: number): void; done(): void } {
  const { standardError: output } = context;
  const everyBytes = output.isTerminal ? showEveryBytes : lineEveryBytes;
  let shown = 0;
  return {
    show(bytes) {
      if (bytes - shown < everyBytes) return;
      shown = bytes;
      const text = `${what}: ${progressText(bytes, totalBytes, output.isTerminal)}`;
      output.write(output.isTerminal ? `\r${text}` : `${text}\n`);
    },
    done() {
      if (shown > 0 && output.isTerminal) output.write('\r\u001b[K');
      shown = 0;
    },
  };
}

function progressText(bytes: number, totalBytes: number | undefined, hasBar: boolean): string {
  const sent = Math.floor(bytes / mebibyte);
  if (totalBytes === undefined || totalBytes <= 0) return `${sent} MiB`;
  const part = Math.min(1, bytes / totalBytes);
  const numbers = `${sent} of ${Math.ceil(totalBytes / mebibyte)} MiB, ${Math.floor(part * 100)} %`;
  if (!hasBar) return numbers;
  return `${barOf(part)} ${numbers}`;
}

/** `part`: from 0 to 1. */
function barOf(part: number): string {
  const full = Math.round(part * barCharacters);
  return `[${'#'.repeat(full)}${'.'.repeat(barCharacters - full)}]`;
}

/** How many of a number of things are there, in words such as `2 of 4 nodes ready`. */
export function showCount(context: CliContext, count: number, wanted: number, what: string): void {
  const { standardOutput: output } = context;
  const words = `${count} of ${wanted} ${what}`;
  if (!output.isTerminal) {
    output.write(`· ${words}\n`);
    return;
  }
  const isDone = count === wanted;
  const line = isDone ? `· ${words}` : `· ${barOf(wanted === 0 ? 1 : count / wanted)} ${words}`;
  output.write(`\r\u001b[K${line}${isDone ? '\n' : ''}`);
}

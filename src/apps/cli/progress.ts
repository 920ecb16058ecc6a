/**
 * How far a long transfer is: on a terminal in one line that goes away again, with a bar
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
  const full = Math.round(part * barCharacters);
  return `[${'#'.repeat(full)}${'.'.repeat(barCharacters - full)}] ${numbers}`;
}

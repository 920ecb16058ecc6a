/** How far a long transfer is, on a terminal only, in one line that goes away again. */
import type { CliContext } from './context.ts';

const showEveryBytes = 1024 * 1024;

export function createProgress(
  context: CliContext,
  what: string,
): { show(bytes: number): void; done(): void } {
  const { standardError: output } = context;
  let shown = 0;
  return {
    show(bytes) {
      if (!output.isTerminal || bytes - shown < showEveryBytes) return;
      shown = bytes;
      output.write(`\r${what}: ${Math.floor(bytes / showEveryBytes)} MiB`);
    },
    done() {
      if (shown > 0) output.write('\r\u001b[K');
      shown = 0;
    },
  };
}

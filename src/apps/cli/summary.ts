/**
 * What `selvage up` shows while it stays in the foreground: one line that
 * refreshes itself on a terminal, a plain line for each change elsewhere.
 */
import { resources } from '#platform/api/mod.ts';
import type { Timer } from '#platform/io/mod.ts';
import type { ApiAccess } from './api-access.ts';
import type { CliContext } from './context.ts';
import type { Fleet } from './fleet.ts';
import { readyNodes } from './ready-nodes.ts';

const refreshMs = 1_000;

export function watchSummary(
  context: CliContext,
  fleet: Fleet,
  access: ApiAccess,
): { close(): void } {
  const output = context.standardOutput;
  let closed = false;
  let timer: Timer | undefined;
  let shown = '';

  const refresh = async (): Promise<void> => {
    let line: string;
    try {
      const ready = await readyNodes(access);
      const pods = await access.client.list(resources.pods);
      const phases = new Map<string, number>();
      for (const pod of pods.items) {
        const stated = pod.status?.['phase'];
        const phase = typeof stated === 'string' ? stated : 'Unknown';
        phases.set(phase, (phases.get(phase) ?? 0) + 1);
      }
      const podText =
        phases.size === 0
          ? 'no pods'
          : [...phases]
              .sort(([left], [right]) => (left < right ? -1 : 1))
              .map(([phase, count]) => `${count} ${phase}`)
              .join(', ');
      const own = fleet.file.nodes.filter((node) => ready.has(node.name)).length;
      line = `nodes ${own}/${fleet.file.nodes.length} ready · pods: ${podText}`;
    } catch {
      line = 'the server does not answer (selvage lab start server brings it back)';
    }
    if (closed || (line === shown && !output.isTerminal)) return;
    shown = line;
    output.write(output.isTerminal ? `\r\u001b[2K${line}` : `${line}\n`);
  };

  const loop = (): void => {
    void refresh().finally(() => {
      if (!closed) timer = context.timers.after(refreshMs, loop);
    });
  };
  loop();
  return {
    close() {
      closed = true;
      timer?.cancel();
      if (output.isTerminal) output.write('\n');
    },
  };
}

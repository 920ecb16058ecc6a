/**
 * What `selvage up` shows while it stays in the foreground: one line that
 * refreshes itself on a terminal, a plain line for each change elsewhere; and, as
 * it starts nothing again by itself, who has ended and how to start it again.
 */
import { isJsonObject } from '#base/mod.ts';
import { resources } from '#platform/api/mod.ts';
import type { Timer } from '#platform/io/mod.ts';
import type { ApiAccess } from './api-access.ts';
import type { CliContext } from './context.ts';
import type { Fleet } from './fleet.ts';
import { displayPath } from './paths.ts';
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
  const write = (line: string): void =>
    output.write(output.isTerminal ? `\r\u001b[2K${line}` : `${line}\n`);
  const agents = watchAgents(context, fleet, (line) => {
    if (closed) return;
    write(output.isTerminal ? `${line}\n` : line);
    shown = '';
  });

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
    write(line);
  };

  const loop = (): void => {
    void agents
      .look()
      .then(refresh)
      .finally(() => {
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

/** Tells of each agent once when it no longer runs, with what it said last if that was an error. */
function watchAgents(
  context: CliContext,
  fleet: Fleet,
  say: (line: string) => void,
): { look(): Promise<void> } {
  const running = new Set<string>();
  return {
    async look() {
      for (const { name } of fleet.file.nodes) {
        if ((await fleet.running(`agent-${name}`)) !== undefined) {
          running.add(name);
          continue;
        }
        if (!running.delete(name)) continue;
        const error = lastErrorOf(await fleet.logTail(`agent-${name}`, 1));
        const log = displayPath(context.workingDirectory, fleet.path(`logs/agent-${name}.log`));
        say(
          `the agent of ${name} has ended${error === undefined ? '' : ` (${error})`}: ` +
            `selvage lab start agent/${name} starts it again; its log is ${log}`,
        );
      }
    },
  };
}

/** What a line of a log says, where it is of an error. */
function lastErrorOf(line: string): string | undefined {
  try {
    const entry: unknown = JSON.parse(line);
    if (!isJsonObject(entry) || entry['level'] !== 'error') return undefined;
    return typeof entry['message'] === 'string' ? entry['message'] : undefined;
  } catch {
    // What a process says to a person before it has a log.
    return line.startsWith('selvage: ') ? line.slice('selvage: '.length) : undefined;
  }
}

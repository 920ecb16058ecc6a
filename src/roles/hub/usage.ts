/**
 * What nodes use, asked from them when somebody wants to know, and kept for a moment.
 * Soft state: none of it is ever written down.
 */
import { isJsonObject, textOf } from '#base/mod.ts';
import type { NodeUsage } from '#platform/api/mod.ts';
import type { Clock, Timers } from '#platform/io/mod.ts';
import type { LinkSession } from '#platform/wire/mod.ts';
import type { HubUsage } from './types.ts';

/** An answer is good for so long: readers come close together. */
const freshMs = 10_000;
const timeoutMs = 5_000;
/** Nodes that are asked at the same time. */
const asksMax = 128;
const containersMax = 4_096;

export interface UsageDependencies {
  readonly clock: Clock;
  readonly timers: Timers;
  readonly session: (nodeName: string) => LinkSession | undefined;
}

interface Known {
  readonly atMs: number;
  readonly usage: NodeUsage;
}

export function createUsage({ clock, timers, session }: UsageDependencies): HubUsage {
  const known = new Map<string, Known>();
  const asking = new Map<string, Promise<void>>();

  async function ask(nodeName: string): Promise<void> {
    const link = session(nodeName);
    if (link === undefined) return;
    try {
      const answer = await answered(link, timers);
      const atMs = clock.monotonicMs();
      known.set(nodeName, { atMs, usage: { ...answer, atWallMs: clock.wallMs() } });
    } catch {
      // It does not measure, or did not answer in time: as if it were not there.
      known.delete(nodeName);
    }
  }

  function isFresh(nodeName: string): boolean {
    const found = known.get(nodeName);
    return found !== undefined && clock.monotonicMs() - found.atMs < freshMs;
  }

  return {
    async refresh(nodeNames) {
      const waiting = [...new Set(nodeNames)].filter((nodeName) => !isFresh(nodeName));
      const worker = async (): Promise<void> => {
        for (let name = waiting.pop(); name !== undefined; name = waiting.pop()) {
          const nodeName = name;
          let asked = asking.get(nodeName);
          if (asked === undefined) {
            asked = ask(nodeName).finally(() => asking.delete(nodeName));
            asking.set(nodeName, asked);
          }
          await asked;
        }
      };
      await Promise.all(Array.from({ length: Math.min(asksMax, waiting.length) }, worker));
    },
    of(nodeName) {
      if (isFresh(nodeName)) return known.get(nodeName)?.usage;
      known.delete(nodeName);
      return undefined;
    },
  };
}

function answered(link: LinkSession, timers: Timers): Promise<Omit<NodeUsage, 'atWallMs'>> {
  return new Promise((resolve, reject) => {
    const stream = link.open('telemetry', 'node.usage', {});
    const timer = timers.after(timeoutMs, () => {
      stream.fail({ code: 'USAGE_TIMEOUT', message: 'the node did not answer in time' });
    });
    stream.onMessage((bytes) => {
      const usage = parseUsage(bytes);
      if (usage === undefined) {
        stream.fail({ code: 'USAGE_MALFORMED', message: 'this is no answer to node.usage' });
      } else resolve(usage);
    });
    stream.onClose((failure) => {
      timer.cancel();
      reject(new Error(failure?.message ?? 'the node ended the stream without an answer'));
    });
    stream.end();
  });
}

/** Undefined for what is not as the agent says it: `[uid, container, nanocores, bytes]` each. */
export function parseUsage(bytes: Uint8Array): Omit<NodeUsage, 'atWallMs'> | undefined {
  let value: unknown;
  try {
    value = JSON.parse(textOf(bytes));
  } catch {
    return undefined;
  }
  if (!isJsonObject(value)) return undefined;
  const { windowMs, node, containers } = value;
  if (!isAmount(windowMs) || !isPair(node) || !Array.isArray(containers)) return undefined;
  if (containers.length > containersMax) return undefined;
  const found: NodeUsage['containers'][number][] = [];
  for (const entry of containers) {
    if (!Array.isArray(entry)) return undefined;
    const [podUid, container, ...amounts] = entry;
    if (typeof podUid !== 'string' || typeof container !== 'string' || !isPair(amounts)) {
      return undefined;
    }
    const [cpuNanoCores, memoryBytes] = amounts;
    found.push({ podUid, container, cpuNanoCores, memoryBytes });
  }
  const [cpuNanoCores, memoryBytes] = node;
  return { windowMs, cpuNanoCores, memoryBytes, containers: found };
}

function isAmount(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}

function isPair(value: unknown): value is [number, number] {
  return Array.isArray(value) && value.length === 2 && value.every(isAmount);
}

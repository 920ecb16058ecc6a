/**
 * A fleet that has nothing to do, for measuring what that costs: founded, at rest,
 * and then left alone for a while.
 */
import { assert } from '#base/mod.ts';
import { sleep } from '#platform/io/mod.ts';
import { createWorld, type WorldOptions } from '#platform/sim/mod.ts';
import { requireConvergence } from './checks.ts';
import { serverHostName } from './constants.ts';
import { Fleet } from './fleet.ts';

const settleMs = 60_000;
/** Founding takes about 10 ms a node of virtual time. */
const foundingMsMax = 3_600_000;
/** What the server had asked for is forgotten after this. */
const afterServerMs = 1_200_000;

export type IdlePhase = 'founded' | 'idle begins' | 'idle ends' | 'server gone';

export interface IdleOptions extends Pick<
  WorldOptions,
  'seed' | 'drainMicrotasks' | 'turns' | 'traceSink'
> {
  readonly nodes: number;
  readonly minutes: number;
  /** Called at each boundary; virtual time stands still until it resolves. */
  readonly onPhase: (phase: IdlePhase) => Promise<void>;
}

export interface IdleResult {
  /** Whose events in the trace are the server's. */
  readonly idleMs: number;
  /** Of what programs wrote to connections in that time, both ways, without TLS. */
  readonly bytes: number;
  readonly messages: number;
  readonly heartbeatIntervalMs: number;
}

/** Owner of the server's events, as the lines of the trace name it. */
export const idleServerOwner = serverHostName;

export async function simulateIdle(options: IdleOptions): Promise<IdleResult> {
  const { nodes, minutes, onPhase } = options;
  assert(nodes > 0 && minutes > 0, 'a fleet, for a while');
  const world = createWorld(options);
  const fleet = new Fleet(world, nodes);
  const idleMs = minutes * 60_000;
  const run = async (): Promise<IdleResult> => {
    await fleet.found();
    await requireConvergence(fleet, undefined);
    await onPhase('founded');
    await sleep(world.timers, settleMs);
    await onPhase('idle begins');
    const before = { ...world.netCounts };
    await sleep(world.timers, idleMs);
    const { bytes, messages } = world.netCounts;
    await onPhase('idle ends');
    fleet.stopServer('crash');
    fleet.checkers.truth.forget();
    await sleep(world.timers, afterServerMs);
    await onPhase('server gone');
    return {
      idleMs,
      bytes: bytes - before.bytes,
      messages: messages - before.messages,
      heartbeatIntervalMs: fleet.pace.heartbeatIntervalMs,
    };
  };
  const limitMs = foundingMsMax + settleMs + idleMs + afterServerMs;
  return world.settle(Promise.race([run(), fleet.failed]), limitMs);
}

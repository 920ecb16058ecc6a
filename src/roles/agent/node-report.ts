/** What the agent reports of its own node: facts of the machine, and what it is short of. */
import { isJsonObject } from '#base/mod.ts';
import type { Condition, NodeReport } from '#platform/api/mod.ts';
import type { Outbox, Replica } from '#platform/sync/mod.ts';
import type { MachineFacts } from './machine.ts';
import { facetOf } from './pods/desired-pod.ts';

export interface NodeReportOptions {
  readonly nodeName: string;
  readonly facts: MachineFacts;
  readonly version: string;
  readonly runtimes: readonly string[];
  readonly platforms: readonly string[];
}

/** Kept for the agent itself, so that pods never take all of a small facts. */
const reservedMemoryBytes = 128 * 1024 * 1024;

/** What changes while the machine runs, seldom enough to be reported. */
export interface NodeCondition {
  readonly conditions: readonly Condition[];
  readonly power: 'mains' | 'battery' | undefined;
}

export function nodeReportOf(options: NodeReportOptions, now?: NodeCondition): NodeReport {
  const { nodeName, facts, version, runtimes, platforms } = options;
  const { diskBytes = 0, features = [], serialPorts = [], accelerators = [] } = facts;
  const amounts = (memoryBytes: number): Record<string, string> => ({
    ...(diskBytes === 0 ? {} : { 'ephemeral-storage': `${Math.floor(diskBytes / 1024)}Ki` }),
    cpu: facts.cpuMillis % 1000 === 0 ? String(facts.cpuMillis / 1000) : `${facts.cpuMillis}m`,
    memory: `${Math.floor(memoryBytes / 1024)}Ki`,
    pods: String(facts.podsMax),
  });
  return {
    status: {
      capacity: amounts(facts.memoryBytes),
      allocatable: amounts(Math.max(facts.memoryBytes - reservedMemoryBytes, 0)),
      addresses: [
        { type: 'InternalIP', address: facts.hostAddress },
        { type: 'Hostname', address: nodeName },
      ],
      nodeInfo: {
        architecture: facts.architecture,
        bootID: facts.bootId,
        containerRuntimeVersion: `${runtimes[0] ?? 'none'}://${version}`,
        kernelVersion: facts.kernelVersion,
        kubeletVersion: `v${version}`,
        machineID: facts.machineId,
        operatingSystem: 'linux',
        osImage: facts.osImage,
      },
      ...(features.length === 0 ? {} : { machineFeatures: [...features] }),
      ...(serialPorts.length === 0 ? {} : { serialPorts: [...serialPorts] }),
      ...(accelerators.length === 0 ? {} : { accelerators: [...accelerators] }),
      ...(now === undefined || now.conditions.length === 0
        ? {}
        : { conditions: [...now.conditions] }),
      ...(now?.power === undefined ? {} : { power: now.power }),
    },
    labels: {
      'kubernetes.io/arch': facts.architecture,
      'kubernetes.io/os': 'linux',
      'kubernetes.io/hostname': nodeName,
    },
    runtimes: [...runtimes],
    platforms: [...platforms],
  };
}

export interface NodeReporter {
  lookAgain(): Promise<void>;
  /** The machine is short of something, or no longer; or its power changed. */
  changed(now: NodeCondition): Promise<void>;
}

/** Puts the report into the outbox whenever the owner, as the replica has it, does not have it yet. */
export function createNodeReporter(
  dependencies: { readonly replica: Replica; readonly outbox: Outbox },
  options: NodeReportOptions,
): NodeReporter {
  const { replica, outbox } = dependencies;
  let text = JSON.stringify(nodeReportOf(options));
  const key = { resource: 'nodes', namespace: '', name: options.nodeName };
  /** Uid of the Node that this text was put for by this agent, and in which incarnation of its owner. */
  let reportedFor: string | undefined;
  const reporter: NodeReporter = {
    async lookAgain() {
      const node = replica.get(key);
      if (node === undefined) return;
      // A server that was restored has lost what the one before it took.
      const subject = `${node.uid} ${replica.cursor?.incarnation ?? ''}`;
      if (subject === reportedFor) return;
      reportedFor = subject;
      const known = facetOf(node, 'report');
      if (JSON.stringify(known) === text) return;
      const body: unknown = JSON.parse(text);
      if (!isJsonObject(body)) return;
      try {
        await outbox.put({ type: 'report', key, uid: node.uid, report: body });
      } catch (error) {
        reportedFor = undefined;
        throw error;
      }
    },
    async changed(now) {
      const next = JSON.stringify(nodeReportOf(options, now));
      if (next !== text) reportedFor = undefined;
      text = next;
      // Also what could not be put the last time.
      await reporter.lookAgain();
    },
  };
  return reporter;
}

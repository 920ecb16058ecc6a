/** What the agent reports of its own node: facts of the machine, not of the moment. */
import { isJsonObject } from '#base/mod.ts';
import type { NodeReport } from '#platform/api/mod.ts';
import type { Outbox, Replica } from '#platform/sync/mod.ts';
import { facetOf } from './pods/desired-pod.ts';

export interface MachineFacts {
  /** As images name it: `amd64`, `arm64`. */
  readonly architecture: string;
  readonly osImage: string;
  readonly kernelVersion: string;
  readonly cpuMillis: number;
  readonly memoryBytes: number;
  readonly podsMax: number;
  /** Where pods' hostIP and the node's InternalIP point. */
  readonly hostAddress: string;
  readonly bootId: string;
  readonly machineId: string;
}

export interface NodeReportOptions {
  readonly nodeName: string;
  readonly facts: MachineFacts;
  readonly version: string;
  readonly runtimes: readonly string[];
  readonly platforms: readonly string[];
}

/** Kept for the agent itself, so that pods never take all of a small facts. */
const reservedMemoryBytes = 128 * 1024 * 1024;

export function nodeReportOf(options: NodeReportOptions): NodeReport {
  const { nodeName, facts, version, runtimes, platforms } = options;
  const amounts = (memoryBytes: number): { cpu: string; memory: string; pods: string } => ({
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

/** Puts the report into the outbox whenever the owner, as the replica has it, does not have it yet. */
export function createNodeReporter(
  dependencies: { readonly replica: Replica; readonly outbox: Outbox },
  options: NodeReportOptions,
): { lookAgain(): Promise<void> } {
  const { replica, outbox } = dependencies;
  const report = nodeReportOf(options);
  const text = JSON.stringify(report);
  const key = { resource: 'nodes', namespace: '', name: options.nodeName };
  /** Uid of the Node that the report was put for by this agent. */
  let reportedUid: string | undefined;
  return {
    async lookAgain() {
      const node = replica.get(key);
      if (node === undefined || node.uid === reportedUid) return;
      reportedUid = node.uid;
      const known = facetOf(node, 'report');
      if (JSON.stringify(known) === text) return;
      const body: unknown = JSON.parse(text);
      if (!isJsonObject(body)) return;
      try {
        await outbox.put({ type: 'report', key, uid: node.uid, report: body });
      } catch (error) {
        reportedUid = undefined;
        throw error;
      }
    },
  };
}

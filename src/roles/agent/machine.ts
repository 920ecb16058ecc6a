/** The machine as the agent asks about it: what it is, and what it has left at a moment. */

export interface MachineFacts {
  /** As images name it: `amd64`, `arm64`. */
  readonly architecture: string;
  readonly osImage: string;
  readonly kernelVersion: string;
  readonly cpuMillis: number;
  readonly memoryBytes: number;
  /** Of the disk that the agent's folder is on; 0 where that is not known. */
  readonly diskBytes?: number;
  readonly podsMax: number;
  /** Where pods' hostIP and the node's InternalIP point. */
  readonly hostAddress: string;
  readonly bootId: string;
  readonly machineId: string;
  /** Such as `kvm`, `cgroup-v2`, `overlayfs`. */
  readonly features?: readonly string[];
  /** Paths of devices. */
  readonly serialPorts?: readonly string[];
  readonly accelerators?: readonly string[];
}

/** What is left at one moment. A part that the machine does not tell is absent. */
export interface MachineSample {
  readonly memoryAvailableBytes?: number;
  readonly diskFreeBytes?: number;
  readonly processes?: { readonly used: number; readonly max: number };
  readonly power?: 'mains' | 'battery';
  /** Memory of each pod's processes, by uid. */
  readonly podMemoryBytes: ReadonlyMap<string, number>;
}

export type SampleMachine = () => Promise<MachineSample>;

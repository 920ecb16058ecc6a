/** Nodes as programs see them. */
import type { ApiObject } from '../object.ts';
import type { Condition } from '../meta/condition.ts';
import type { TaintEffect } from './pod-types.ts';

export type Taint = { key: string; value?: string; effect: TaintEffect; timeAdded?: string };

export type NodeSpec = { unschedulable?: boolean; taints?: Taint[]; podCIDR?: string };

export type NodeInfo = {
  machineID?: string;
  bootID?: string;
  architecture?: string;
  operatingSystem?: string;
  osImage?: string;
  kernelVersion?: string;
  kubeletVersion?: string;
  kubeProxyVersion?: string;
  containerRuntimeVersion?: string;
};

export type NodeStatus = {
  capacity?: Record<string, string>;
  allocatable?: Record<string, string>;
  addresses?: { type: string; address: string }[];
  nodeInfo?: NodeInfo;
  conditions?: Condition[];
  runtimes?: string[];
  platforms?: string[];
  machineFeatures?: string[];
  serialPorts?: string[];
  accelerators?: string[];
  power?: 'mains' | 'battery';
};

export interface Node extends ApiObject {
  spec: NodeSpec;
  status?: NodeStatus;
}

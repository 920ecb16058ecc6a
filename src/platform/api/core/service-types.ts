/** Services as programs see them. */
import type { ApiObject } from '../object.ts';
import type { Protocol } from './pod-types.ts';

export type ServicePort = {
  name?: string;
  protocol?: Protocol;
  appProtocol?: string;
  port: number;
  /** A number, or the name of a container's port; `port` where absent. */
  targetPort?: number | string;
  nodePort?: number;
};

export type ServiceType = 'ClusterIP' | 'NodePort' | 'LoadBalancer' | 'ExternalName';

export type ServiceSpec = {
  type?: ServiceType;
  clusterIP?: string;
  clusterIPs?: string[];
  ports?: ServicePort[];
  selector?: Record<string, string>;
  sessionAffinity?: 'None' | 'ClientIP';
  sessionAffinityConfig?: { clientIP?: { timeoutSeconds?: number } };
  externalName?: string;
  publishNotReadyAddresses?: boolean;
  internalTrafficPolicy?: string;
  externalTrafficPolicy?: string;
  ipFamilies?: string[];
  ipFamilyPolicy?: string;
  trafficDistribution?: string;
};

export interface Service extends ApiObject {
  spec: ServiceSpec;
  status?: { loadBalancer?: Record<string, never> };
}

/** What `clusterIP` says where clients are to be told the pods' own addresses. */
export const headless = 'None';

/** Whether it is reached by a port on every node. There are no load balancers outside the fleet. */
export function hasNodePorts({ type }: ServiceSpec): boolean {
  return type === 'NodePort' || type === 'LoadBalancer';
}

/**
 * One question to a workload and its answer, cut off at a time: what probes and
 * hooks ask over HTTP and gRPC. Certificates of workloads are not verified, as
 * what is asked is whether they answer.
 */
import type { Address } from './net.ts';

export interface ProbeNet {
  /** The status; redirects are answers too. Rejects with NetError, NET_TIMEOUT where it takes longer. */
  httpStatus(request: {
    readonly address: Address;
    readonly scheme: 'http' | 'https';
    /** Path with query. */
    readonly target: string;
    readonly headers: Readonly<Record<string, string>>;
    readonly timeoutMs: number;
  }): Promise<number>;
  /** What `grpc.health.v1.Health/Check` says of the service, e.g. `SERVING`. Rejects with NetError. */
  grpcHealth(request: {
    readonly address: Address;
    readonly service: string;
    readonly timeoutMs: number;
  }): Promise<string>;
}

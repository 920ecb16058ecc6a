/**
 * What a node does for services: names for its pods, and connections passed on to
 * whoever answers. All of it from the node's own copy of its slice, so that it goes
 * on without the hub.
 */
import {
  hasNodePorts,
  type NodeAssignment,
  type ServicePort,
  serviceAddressOnNode,
} from '#platform/api/mod.ts';
import type {
  Address,
  Clock,
  Datagrams,
  Logger,
  PlainConnection,
  PlainNet,
  Random,
  Timers,
} from '#platform/io/mod.ts';
import type { Replica } from '#platform/sync/mod.ts';
import type { LinkSession } from '#platform/wire/mod.ts';
import { facetOf } from '../pods/desired-pod.ts';
import { reachAway } from './away.ts';
import { type DnsServer, startDnsServer } from './dns-server.ts';
import { createDatagramForwarder } from './datagram-forwarder.ts';
import { createForwarder, type ForwarderState, reachDirectly } from './forwarder.ts';
import type { Frontend } from './frontends.ts';
import { answerName, clusterDomain } from './names.ts';
import type { Place } from './nearness.ts';
import { type Backend, type KnownService, openServiceTable } from './service-table.ts';
import { createUpstream } from './upstream.ts';

const loopback = '127.0.0.1';
const dnsPort = 53;
/** Of the node's range of pod addresses, the last one, which no pod gets. */
const dnsHostNumber = 254;

export interface NodeServicesDependencies {
  readonly replica: Replica;
  readonly plainNet: PlainNet;
  readonly datagrams: Datagrams;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly random: Random;
  readonly logger: Logger;
  /** The link to the hub: the way to pods of other machines. */
  readonly session: () => LinkSession | undefined;
}

export interface NodeServicesOptions {
  readonly nodeName: string;
  /** Where node ports are. */
  readonly hostAddress: string;
  /** Other nodes run on this machine too, with the same loopback addresses. */
  readonly sharesMachine: boolean;
  /** The machine's own resolvers. */
  readonly resolvers: readonly Address[];
}

/** What a pod's resolver is to use. */
export interface PodResolver {
  readonly nameserver: string;
  readonly searches: readonly string[];
}

export interface NodeServices {
  /** For the pods of a namespace; undefined while the node does not know its range. */
  resolverFor(namespace: string): PodResolver | undefined;
  state(): ForwarderState;
  close(): Promise<void>;
}

export function startNodeServices(
  dependencies: NodeServicesDependencies,
  options: NodeServicesOptions,
): NodeServices {
  const { replica, plainNet } = dependencies;
  const { nodeName, sharesMachine } = options;
  const nodePortHosts = [...new Set([options.hostAddress, loopback])];
  const services = openServiceTable(replica);
  const upstream = createUpstream(dependencies, options.resolvers);
  let dns: DnsServer | undefined;
  let turn = 0;

  const assignment = (): NodeAssignment | undefined => {
    const node = replica.get({ resource: 'nodes', namespace: '', name: nodeName });
    return node === undefined
      ? undefined
      : (facetOf(node, 'assignment') as unknown as NodeAssignment | undefined);
  };
  const here = (): Place => {
    const { site, region } = assignment() ?? {};
    return { nodeName, site, region };
  };
  const range = (): RegExpExecArray | null =>
    /^(\d{1,3}\.\d{1,3}\.(\d{1,3}))\.0\/24$/u.exec(assignment()?.podCIDR ?? '');
  const dnsAddress = (): string | undefined => {
    const found = range();
    return found === null ? undefined : `${found[1]}.${dnsHostNumber}`;
  };
  const addressHere = (clusterIP: string): string => {
    const number = Number(range()?.[2] ?? 0);
    return (sharesMachine ? serviceAddressOnNode(clusterIP, number) : undefined) ?? clusterIP;
  };

  const isHere = (backend: Backend): boolean =>
    sharesMachine || backend.nodeName === undefined || backend.nodeName === nodeName;
  const reach = (backend: Backend): Promise<PlainConnection> =>
    isHere(backend) ? reachDirectly(plainNet, backend) : reachAway(dependencies, backend);
  const forwarder = createForwarder({
    ...dependencies,
    services,
    here,
    reach,
  });

  const datagramForwarder = createDatagramForwarder({ ...dependencies, services, here, isHere });

  function frontendsOf(service: KnownService, protocol: 'TCP' | 'UDP'): readonly Frontend[] {
    const { clusterIP, ports = [] } = service.spec;
    if (clusterIP === undefined || clusterIP === 'None') return [];
    const own = addressHere(clusterIP);
    const at = (host: string, port: number, isShared: boolean, of: ServicePort): Frontend => ({
      address: { host, port },
      isShared,
      namespace: service.namespace,
      service: service.name,
      portName: of.name ?? '',
    });
    const wanted = ports.filter((port) => (port.protocol ?? 'TCP') === protocol);
    return wanted.flatMap((port) => [
      at(clusterIP, port.port, sharesMachine, port),
      ...(own === clusterIP ? [] : [at(own, port.port, false, port)]),
      ...(hasNodePorts(service.spec)
        ? nodePortHosts.map((host) => at(host, port.nodePort ?? 0, sharesMachine, port))
        : []),
    ]);
  }

  function refresh(): void {
    const host = dnsAddress();
    if (host === undefined) return;
    dns ??= startDnsServer(
      {
        ...dependencies,
        upstream,
        answer(question) {
          turn += 1;
          return answerName(question, { services, here: here(), addressHere, turn });
        },
      },
      { host, port: dnsPort },
    );
    const frontends = (protocol: 'TCP' | 'UDP'): readonly Frontend[] =>
      services.list().flatMap((service) => frontendsOf(service, protocol));
    forwarder.update(frontends('TCP'));
    datagramForwarder.update(frontends('UDP'));
  }

  services.onChange(refresh);
  // The node's own range comes with its slice, and stays.
  replica.onChange((changes) => {
    if (dns === undefined && changes.length > 0) refresh();
  });
  refresh();

  return {
    resolverFor(namespace) {
      const nameserver = dnsAddress();
      if (nameserver === undefined) return undefined;
      const svc = `svc.${clusterDomain}`;
      return { nameserver, searches: [`${namespace}.${svc}`, svc, clusterDomain] };
    },
    state() {
      const [streams, messages] = [forwarder.state(), datagramForwarder.state()];
      return {
        listeners: streams.listeners + messages.listeners,
        connections: streams.connections + messages.connections,
        refused: streams.refused + messages.refused,
      };
    },
    async close() {
      await dns?.close();
      await forwarder.close();
      await datagramForwarder.close();
      await upstream.close();
    },
  };
}

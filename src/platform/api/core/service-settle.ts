/** What a service is given that no other service may have: its address and its node ports. */
import type { FieldError, SettleContext } from '../definition.ts';
import { freeNodePort, freeServiceAddress, isServiceAddress } from './service-network.ts';
import { hasNodePorts, headless, type Service } from './service-types.ts';

/** Fills in what is missing, keeps what was given before, and says what is taken. In place. */
export function settleService(service: Service, context: SettleContext): readonly FieldError[] {
  const before = context.previous as Service | undefined;
  const { spec } = service;
  keepOrDrop(service, before);
  if (spec.type === 'ExternalName' || spec.clusterIP === headless) return [];
  const others = (): readonly Service[] =>
    (context.others() as readonly Service[]).filter(
      ({ metadata }) => metadata.uid !== service.metadata.uid,
    );
  return [
    ...settleAddress(service, before, others, context.serviceNetwork),
    ...(hasNodePorts(spec) ? settleNodePorts(service, before, others) : []),
  ];
}

/** A body that leaves out what the server had chosen keeps it, as long as it is of use. */
function keepOrDrop({ spec }: Service, before: Service | undefined): void {
  if (before === undefined) return;
  const typeChanged = before.spec.type !== spec.type;
  if (spec.type === 'ExternalName') {
    if (typeChanged && spec.clusterIP === before.spec.clusterIP) {
      delete spec.clusterIP;
      delete spec.clusterIPs;
    }
  } else if (spec.clusterIP === undefined && before.spec.clusterIP !== undefined) {
    spec.clusterIP = before.spec.clusterIP;
    spec.clusterIPs = [before.spec.clusterIP];
  }
  for (const port of spec.ports ?? []) {
    const same = before.spec.ports?.find(
      (old) => old.port === port.port && old.protocol === port.protocol,
    );
    const had = same?.nodePort;
    if (had === undefined) continue;
    if (hasNodePorts(spec)) port.nodePort ??= had;
    else if (typeChanged && port.nodePort === had) delete port.nodePort;
  }
}

function settleAddress(
  { metadata, spec }: Service,
  before: Service | undefined,
  others: () => readonly Service[],
  serviceNetwork: string,
): readonly FieldError[] {
  const field = 'spec.clusterIP';
  const asked = spec.clusterIP;
  if (asked !== undefined && asked === before?.spec.clusterIP) return [];
  const holders = new Map(others().map((other) => [other.spec.clusterIP, other]));
  if (asked === undefined) {
    const name = `${metadata.namespace ?? ''}/${metadata.name}`;
    const free = freeServiceAddress(serviceNetwork, name, (address) => holders.has(address));
    if (free === undefined) {
      const message = `all addresses of ${serviceNetwork}.0.0/16 are taken: delete a Service`;
      return [{ field, reason: 'FieldValueInvalid', message }];
    }
    spec.clusterIP = free;
    spec.clusterIPs = [free];
    return [];
  }
  if (!isServiceAddress(serviceNetwork, asked)) {
    const message = `${asked} is no address for services: choose one of ${serviceNetwork}.0.1 to ${serviceNetwork}.0.254, or leave it out`;
    return [{ field, reason: 'FieldValueInvalid', message }];
  }
  const holder = holders.get(asked);
  if (holder === undefined) return [];
  const message = `${asked} is already allocated: Service ${nameOf(holder)} has it`;
  return [{ field, reason: 'FieldValueInvalid', message }];
}

function settleNodePorts(
  service: Service,
  before: Service | undefined,
  others: () => readonly Service[],
): readonly FieldError[] {
  const { spec, metadata } = service;
  const kept = new Set(before?.spec.ports?.map(({ nodePort }) => nodePort));
  const ports = spec.ports ?? [];
  if (ports.every(({ nodePort }) => nodePort !== undefined && kept.has(nodePort))) return [];
  const holders = new Map<number, Service>();
  for (const other of others()) {
    for (const { nodePort } of other.spec.ports ?? []) {
      if (nodePort !== undefined) holders.set(nodePort, other);
    }
  }
  const errors: FieldError[] = [];
  for (const [position, port] of ports.entries()) {
    if (port.nodePort === undefined) continue;
    const holder = holders.get(port.nodePort);
    if (holder === undefined) continue;
    errors.push({
      field: `spec.ports[${position}].nodePort`,
      reason: 'FieldValueInvalid',
      message: `${port.nodePort}: provided port is already allocated: Service ${nameOf(holder)} has it`,
    });
  }
  for (const [position, port] of ports.entries()) {
    if (port.nodePort !== undefined) continue;
    const own = new Set(ports.map(({ nodePort }) => nodePort));
    const name = `${metadata.namespace ?? ''}/${metadata.name}/${port.port}`;
    const free = freeNodePort(name, (number) => holders.has(number) || own.has(number));
    if (free === undefined) {
      const field = `spec.ports[${position}].nodePort`;
      errors.push({ field, reason: 'FieldValueInvalid', message: 'all node ports are taken' });
    } else {
      port.nodePort = free;
    }
  }
  return errors;
}

function nameOf({ metadata }: Service): string {
  return `${metadata.namespace ?? ''}/${metadata.name}`;
}

/**
 * What the names of services stand for. Pure: a question, the table of services and
 * where this node is give the answer, or say that the name is nobody's here.
 *
 *   SERVICE.NAMESPACE.svc                 the address; of a headless one, the pods'
 *   HOST.SERVICE.NAMESPACE.svc            one pod of it: its hostname or `127-1-2-3`
 *   _PORT._PROTOCOL.SERVICE.NAMESPACE.svc where that port is (SRV)
 *
 * each also with `.cluster.local` behind it.
 */
import {
  type DnsAnswer,
  type DnsQuestion,
  type DnsRecord,
  recordTypes,
  responseCodes,
} from './dns-message.ts';
import { inOrderOfNearness, type Place } from './nearness.ts';
import type { Backend, KnownService, ServiceTable } from './service-table.ts';

export const clusterDomain = 'cluster.local';
/** Names follow the fleet closely; nobody should remember them for long. */
const ttlSeconds = 5;
const labelLengthMax = 63;
/** More addresses help nobody, and do not fit into an answer. */
const addressesMax = 24;

export interface NameView {
  readonly services: ServiceTable;
  readonly here: Place;
  /** What a service's address is on this node. */
  readonly addressHere: (clusterIP: string) => string;
  /** Rises with every question. */
  readonly turn: number;
}

export type NameAnswer =
  | { readonly type: 'answer'; readonly answer: DnsAnswer }
  /** Another name, elsewhere, that the question goes on with. */
  | { readonly type: 'alias'; readonly record: DnsRecord; readonly target: string }
  /** Not a name of the fleet. */
  | { readonly type: 'elsewhere' };

export function answerName(question: DnsQuestion, view: NameView): NameAnswer {
  const { name } = question;
  const isClusterName = name === clusterDomain || name.endsWith(`.${clusterDomain}`);
  const inner = isClusterName ? name.slice(0, -clusterDomain.length - 1) : name;
  const labels = inner === '' ? [] : inner.split('.');
  if (labels.at(-1) !== 'svc') {
    return isClusterName ? answered(nothing(labels.length === 0)) : { type: 'elsewhere' };
  }
  const [serviceName, namespace] = [labels.at(-3), labels.at(-2)];
  if (namespace === undefined) return answered(nothing(true));
  if (serviceName === undefined) return answered(nothing(view.services.hasNamespace(namespace)));
  const service = view.services.get(namespace, serviceName);
  if (service === undefined) return answered(nothing(false));
  return answerService(question, service, labels.slice(0, -3), view);
}

function answerService(
  question: DnsQuestion,
  service: KnownService,
  before: readonly string[],
  view: NameView,
): NameAnswer {
  const { name, type } = question;
  const { spec } = service;
  if (spec.type === 'ExternalName') {
    const target = (spec.externalName ?? '').toLowerCase();
    if (before.length > 0) return answered(nothing(false));
    // There is no way to say such a name.
    if (target.split('.').some((label) => label.length > labelLengthMax)) {
      return answered(nothing(true));
    }
    const record: DnsRecord = { type: 'CNAME', name, ttlSeconds, target };
    return { type: 'alias', record, target };
  }
  if (before.length === 2) return answered(portAnswer(question, service, before, view));
  if (before.length > 2) return answered(nothing(false));
  const addresses =
    before.length === 1
      ? backendsOf(service, view)
          .filter((backend) => hostOf(backend) === before[0])
          .map(({ address }) => address)
      : addressesOf(service, view);
  if (before.length === 1 && addresses.length === 0) return answered(nothing(false));
  const wantsAddress = type === recordTypes.A || type === recordTypes.ANY;
  if (!wantsAddress || addresses.length === 0) return answered(nothing(true));
  const answers = addresses.map((address): DnsRecord => ({ type: 'A', name, ttlSeconds, address }));
  return answered({ code: responseCodes.ok, isAuthoritative: true, answers });
}

/** Of a headless service the pods that are ready, the nearest first. */
function addressesOf(service: KnownService, view: NameView): readonly string[] {
  const { clusterIP } = service.spec;
  if (clusterIP !== undefined && clusterIP !== 'None') return [view.addressHere(clusterIP)];
  const addresses = backendsOf(service, view).map(({ address }) => address);
  return [...new Set(addresses)].slice(0, addressesMax);
}

function portAnswer(
  { name, type }: DnsQuestion,
  service: KnownService,
  [portWord = '', protocolWord = '']: readonly string[],
  view: NameView,
): DnsAnswer {
  const { clusterIP, ports = [] } = service.spec;
  const port = ports.find(
    (candidate) =>
      `_${candidate.name ?? ''}` === portWord &&
      `_${(candidate.protocol ?? 'TCP').toLowerCase()}` === protocolWord,
  );
  if (port === undefined) return nothing(false);
  if (type !== recordTypes.SRV && type !== recordTypes.ANY) return nothing(true);
  const base = `${service.name}.${service.namespace}.svc.${clusterDomain}`;
  const srv = (target: string, number: number): DnsRecord => ({
    type: 'SRV',
    name,
    ttlSeconds,
    target,
    port: number,
    priority: 0,
    weight: 100,
  });
  const a = (target: string, address: string): DnsRecord => ({
    type: 'A',
    name: target,
    ttlSeconds,
    address,
  });
  if (clusterIP !== undefined && clusterIP !== 'None') {
    return {
      code: responseCodes.ok,
      isAuthoritative: true,
      answers: [srv(base, port.port)],
      additional: [a(base, view.addressHere(clusterIP))],
    };
  }
  const backends = inOrderOfNearness(
    view.here,
    service.backends.get(port.name ?? '') ?? [],
    view.turn,
  )
    .filter(({ isReady }) => isReady)
    .slice(0, addressesMax);
  if (backends.length === 0) return nothing(true);
  const targetOf = (backend: Backend): string => `${hostOf(backend)}.${base}`;
  return {
    code: responseCodes.ok,
    isAuthoritative: true,
    answers: backends.map((backend) => srv(targetOf(backend), backend.port)),
    additional: backends.map((backend) => a(targetOf(backend), backend.address)),
  };
}

/** Each pod once, whatever its ports. */
function backendsOf(service: KnownService, { here, turn }: NameView): readonly Backend[] {
  const byAddress = new Map<string, Backend>();
  for (const backends of service.backends.values()) {
    for (const backend of backends) if (backend.isReady) byAddress.set(backend.address, backend);
  }
  return inOrderOfNearness(here, [...byAddress.values()], turn);
}

function hostOf({ hostname, address }: Backend): string {
  return hostname ?? address.replaceAll('.', '-');
}

function answered(answer: DnsAnswer): NameAnswer {
  return { type: 'answer', answer };
}

/** There is no such name, or nothing of the kind that was asked for at it. */
function nothing(doesExist: boolean): DnsAnswer {
  const primary = `ns.dns.${clusterDomain}`;
  return {
    code: doesExist ? responseCodes.ok : responseCodes.noSuchName,
    isAuthoritative: true,
    answers: [],
    authority: [{ type: 'SOA', name: clusterDomain, ttlSeconds, primary }],
  };
}

/** What a schema cannot say about a service. */
import type { FieldError } from '../definition.ts';
import { dnsLabelProblem } from '../formats.ts';
import { duplicates } from '../meta/rules.ts';
import { nodePortMax, nodePortMin } from './service-network.ts';
import {
  hasNodePorts,
  headless,
  type Service,
  type ServicePort,
  type ServiceSpec,
} from './service-types.ts';

const portNameLengthMax = 15;

export function validateService(service: Service, previous: Service | undefined): FieldError[] {
  const { spec } = service;
  const { ports = [] } = spec;
  return [
    ...validateType(spec),
    ...duplicates(
      ports.map(({ name }) => name),
      (position) => `spec.ports[${position}].name`,
    ),
    ...duplicates(
      ports.map(({ port, protocol = 'TCP' }) => `${port}/${protocol}`),
      (position) => `spec.ports[${position}]`,
    ),
    ...duplicates(
      ports.map(({ nodePort }) => (nodePort === undefined ? undefined : String(nodePort))),
      (position) => `spec.ports[${position}].nodePort`,
    ),
    ...ports.flatMap((port, position) => validatePort(port, spec, `spec.ports[${position}]`)),
    ...validateAddressChange(spec, previous?.spec),
  ];
}

function validateType(spec: ServiceSpec): FieldError[] {
  const { type, clusterIP, clusterIPs, externalName, ports = [] } = spec;
  const errors: FieldError[] = [];
  if (type === 'ExternalName') {
    if ((externalName ?? '') === '') {
      errors.push(
        error('spec.externalName', 'FieldValueRequired', 'must be given for ExternalName'),
      );
    }
    if (clusterIP !== undefined) {
      errors.push(error('spec.clusterIP', 'FieldValueForbidden', 'an ExternalName has no address'));
    }
    return errors;
  }
  if (externalName !== undefined) {
    const message = 'only a Service of type ExternalName has one';
    errors.push(error('spec.externalName', 'FieldValueForbidden', message));
  }
  if (clusterIP === headless && hasNodePorts(spec)) {
    const message = `may not be None for a ${type}`;
    errors.push(error('spec.clusterIP', 'FieldValueInvalid', message));
  }
  if (ports.length === 0 && clusterIP !== headless) {
    errors.push(error('spec.ports', 'FieldValueRequired', 'name at least one port'));
  }
  if (clusterIPs !== undefined && clusterIPs[0] !== clusterIP) {
    errors.push(error('spec.clusterIPs', 'FieldValueInvalid', 'must have clusterIP as its entry'));
  }
  return errors;
}

function validatePort(port: ServicePort, spec: ServiceSpec, field: string): FieldError[] {
  const errors: FieldError[] = [];
  const { name, protocol = 'TCP', targetPort, nodePort } = port;
  if ((spec.ports ?? []).length > 1 && name === undefined) {
    const message = 'every port needs a name where there are several';
    errors.push(error(`${field}.name`, 'FieldValueRequired', message));
  }
  if (protocol === 'SCTP' && spec.clusterIP !== headless && spec.type !== 'ExternalName') {
    const message =
      'nodes forward TCP and UDP only; SCTP works with a headless Service (clusterIP: None)';
    errors.push(error(`${field}.protocol`, 'FieldValueNotSupported', message));
  }
  const wrong = targetProblem(targetPort);
  if (wrong !== undefined) errors.push(error(`${field}.targetPort`, 'FieldValueInvalid', wrong));
  if (nodePort === undefined) return errors;
  if (!hasNodePorts(spec)) {
    const message = 'only a Service of type NodePort or LoadBalancer has one';
    errors.push(error(`${field}.nodePort`, 'FieldValueForbidden', message));
  } else if (nodePort < nodePortMin || nodePort > nodePortMax) {
    const message = `must be between ${nodePortMin} and ${nodePortMax}`;
    errors.push(error(`${field}.nodePort`, 'FieldValueInvalid', message));
  }
  return errors;
}

function targetProblem(targetPort: number | string | undefined): string | undefined {
  if (targetPort === undefined) return undefined;
  if (typeof targetPort === 'number') {
    return targetPort >= 1 && targetPort <= 65_535 ? undefined : 'must be between 1 and 65535';
  }
  if (targetPort.length > portNameLengthMax) return 'a name of a port has at most 15 characters';
  return dnsLabelProblem(targetPort);
}

/** An address is kept for as long as the service is one that has an address. */
function validateAddressChange(spec: ServiceSpec, before: ServiceSpec | undefined): FieldError[] {
  const had = before?.clusterIP;
  if (had === undefined || spec.type === 'ExternalName' || spec.clusterIP === had) return [];
  return [error('spec.clusterIP', 'FieldValueInvalid', 'field is immutable')];
}

function error(field: string, reason: FieldError['reason'], message: string): FieldError {
  return { field, reason, message };
}

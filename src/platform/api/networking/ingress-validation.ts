/** What a schema cannot say about an ingress. */
import type { FieldError } from '../definition.ts';
import { fieldForbidden, fieldInvalid, fieldRequired } from '../field-errors.ts';
import { dnsSubdomainProblem } from '../formats.ts';
import type { Ingress, IngressBackend, IngressPath } from './ingress.ts';

/** The older way to name a class. */
const classAnnotation = 'kubernetes.io/ingress.class';
const addressPattern = /^\d{1,3}(\.\d{1,3}){3}$/u;

export function validateIngress({ metadata, spec }: Ingress, isCreate: boolean): FieldError[] {
  const { defaultBackend, rules = [], tls = [], ingressClassName } = spec;
  const errors: FieldError[] = [];
  if (isCreate && ingressClassName !== undefined && metadata.annotations?.[classAnnotation]) {
    const why = 'can not be set when the class field is also set';
    errors.push(fieldInvalid(`annotations[${classAnnotation}]`, ingressClassName, why));
  }
  if (defaultBackend === undefined && rules.length === 0) {
    errors.push({
      field: 'spec',
      reason: 'FieldValueInvalid',
      message: 'either `defaultBackend` or `rules` must be specified',
    });
  }
  if (defaultBackend !== undefined) {
    errors.push(...backendErrors(defaultBackend, 'spec.defaultBackend'));
  }
  for (const [position, { hosts = [] }] of tls.entries()) {
    for (const [index, host] of hosts.entries()) {
      errors.push(...hostErrors(host, `spec.tls[${position}].hosts[${index}]`));
    }
  }
  for (const [position, { host, http }] of rules.entries()) {
    const field = `spec.rules[${position}]`;
    if (host !== undefined && host !== '') errors.push(...hostErrors(host, `${field}.host`));
    if (http === undefined) continue;
    if (http.paths.length === 0) {
      errors.push(fieldRequired(`${field}.http.paths`, 'name at least one path'));
    }
    for (const [index, path] of http.paths.entries()) {
      errors.push(...pathErrors(path, `${field}.http.paths[${index}]`));
    }
  }
  return errors;
}

function hostErrors(host: string, field: string): FieldError[] {
  if (addressPattern.test(host)) {
    return [fieldInvalid(field, host, 'must be a DNS name, not an IP address')];
  }
  const problem = dnsSubdomainProblem(host.startsWith('*.') ? host.slice(2) : host);
  return problem === undefined ? [] : [fieldInvalid(field, host, problem)];
}

const forbiddenInPaths = ['//', '/./', '/../', '%2f', '%2F'];
const forbiddenAtEnd = ['/..', '/.'];

function pathErrors({ path = '', pathType, backend }: IngressPath, field: string): FieldError[] {
  const errors = backendErrors(backend, `${field}.backend`);
  const where = `${field}.path`;
  const isOpen = pathType === 'ImplementationSpecific';
  if (!path.startsWith('/')) {
    if (!isOpen || path !== '') errors.push(fieldInvalid(where, path, 'must be an absolute path'));
    return errors;
  }
  if (isOpen) return errors;
  for (const part of forbiddenInPaths) {
    if (path.includes(part)) {
      errors.push(fieldInvalid(where, path, `must not contain '${part}'`));
    }
  }
  for (const end of forbiddenAtEnd) {
    if (path.endsWith(end)) errors.push(fieldInvalid(where, path, `cannot end with '${end}'`));
  }
  return errors;
}

function backendErrors({ service, resource }: IngressBackend, field: string): FieldError[] {
  if (service !== undefined && resource !== undefined) {
    return [fieldForbidden(field, 'cannot set both resource and service backends')];
  }
  if (service === undefined) {
    if (resource !== undefined) return [];
    return [fieldRequired(field, 'port name or number is required: name a service and its port')];
  }
  const errors: FieldError[] = [];
  const problem = dnsSubdomainProblem(service.name);
  if (problem !== undefined) {
    errors.push(fieldInvalid(`${field}.service.name`, service.name, problem));
  }
  const { name = '', number = 0 } = service.port ?? {};
  const port = `${field}.service.port`;
  if (name !== '' && number !== 0) {
    errors.push(fieldForbidden(port, 'cannot set both port name & port number'));
  } else if (name === '' && number === 0) {
    errors.push(fieldRequired(port, 'port name or number is required'));
  }
  return errors;
}

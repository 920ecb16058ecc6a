/** What form of answer a client asks for by its Accept header. */
import { StatusError } from '#platform/api/mod.ts';

export type Acceptance =
  | { readonly form: 'object' }
  | { readonly form: 'table' }
  | { readonly form: 'metadata' }
  | { readonly form: 'discovery'; readonly version: 'v2' | 'v2beta1' };

/** What clients ask for at /openapi/v2, and nothing else. */
const openApiTwoMediaType = 'application/com.github.proto-openapi.spec.v2@v1.0+protobuf';

const acceptEntriesMax = 32;

/**
 * The first entry that can be served wins, as clients list what they like best
 * first. Protobuf and other encodings are passed over. Throws 406 where nothing
 * that is listed can be served.
 */
export function acceptanceOf(header: string | undefined): Acceptance {
  if (header === undefined || header === 'application/json' || header.trim() === '') {
    return { form: 'object' };
  }
  for (const entry of header.split(',').slice(0, acceptEntriesMax)) {
    const [type = '', ...rest] = entry.split(';').map((part) => part.trim());
    const acceptance = ofEntry(type.toLowerCase(), parametersOf(rest));
    if (acceptance !== undefined) return acceptance;
  }
  throw new StatusError(
    'NotAcceptable',
    'only the following media types are accepted: application/json, ' +
      'application/json;as=Table;v=v1;g=meta.k8s.io',
  );
}

function ofEntry(
  type: string,
  parameters: Readonly<Record<string, string>>,
): Acceptance | undefined {
  if (type === '*/*' || type === 'application/*' || type === openApiTwoMediaType) {
    return { form: 'object' };
  }
  if (type !== 'application/json') return undefined;
  const { as, g: group, v: version } = parameters;
  switch (as ?? '') {
    case '':
      return { form: 'object' };
    case 'Table':
      return group === 'meta.k8s.io' && version === 'v1' ? { form: 'table' } : undefined;
    case 'PartialObjectMetadata':
    case 'PartialObjectMetadataList':
      return group === 'meta.k8s.io' && version === 'v1' ? { form: 'metadata' } : undefined;
    case 'APIGroupDiscoveryList':
      return group === 'apidiscovery.k8s.io' && (version === 'v2' || version === 'v2beta1')
        ? { form: 'discovery', version }
        : undefined;
    default:
      return undefined;
  }
}

function parametersOf(parts: readonly string[]): Record<string, string> {
  const parameters: Record<string, string> = Object.create(null) as Record<string, string>;
  for (const part of parts) {
    const equals = part.indexOf('=');
    if (equals > 0) parameters[part.slice(0, equals)] = part.slice(equals + 1);
  }
  return parameters;
}

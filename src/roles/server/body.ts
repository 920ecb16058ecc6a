/**
 * Bodies of requests: bounded, strict; JSON, YAML or protobuf.
 *
 * Invariants:
 * 1. Nothing larger than the limit is held in memory.
 * 2. YAML passes the same strict reader as JSON: same depth, same names, same numbers.
 */
import {
  parseKubernetesProtobuf,
  parseStrictJson,
  parseStrictYaml,
  type ParsedJson,
  StatusError,
} from '#platform/api/mod.ts';
import { BodyTooLargeError, type HttpRequest, readBody } from '#platform/io/mod.ts';
import { requestBodyBytesMax } from './limits.ts';

/** The media type without parameters, lower case; JSON where the header is absent. */
export function contentTypeOf(request: HttpRequest): string {
  const header = request.headers['content-type'] ?? 'application/json';
  return (header.split(';')[0] ?? '').trim().toLowerCase();
}

export async function readBytes(request: HttpRequest): Promise<Uint8Array> {
  const declared = Number(request.headers['content-length'] ?? '0');
  if (declared > requestBodyBytesMax) throw new BodyTooLargeError(requestBodyBytesMax);
  return readBody(request.body, requestBodyBytesMax);
}

/** The body as JSON values; undefined where it is empty. Throws 400, 413 or 415. */
export async function readParsed(request: HttpRequest): Promise<ParsedJson | undefined> {
  const bytes = await readBytes(request);
  if (bytes.length === 0) return undefined;
  const contentType = contentTypeOf(request);
  switch (contentType) {
    case 'application/json':
    case 'text/json':
      return parseStrictJson(bytes);
    case 'application/yaml':
    case 'application/x-yaml':
    case 'text/yaml':
      return parseStrictYaml(bytes);
    case 'application/vnd.kubernetes.protobuf':
      return parseKubernetesProtobuf(bytes);
    default:
      throw new StatusError(
        'UnsupportedMediaType',
        `the body of the request is of the type ${JSON.stringify(contentType.slice(0, 100))}; ` +
          'accepted are application/json, application/yaml and application/vnd.kubernetes.protobuf',
      );
  }
}

/** As `readParsed`, and refuses an empty body. */
export async function requireParsed(request: HttpRequest): Promise<ParsedJson> {
  const parsed = await readParsed(request);
  if (parsed === undefined) throw new StatusError('BadRequest', 'the request needs a body');
  return parsed;
}

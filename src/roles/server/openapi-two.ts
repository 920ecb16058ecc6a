/**
 * The document at /openapi/v2: that there is nothing in it. The kinds are described
 * by OpenAPI v3. kubectl looks here for a kind that it has not found there, and
 * without an answer it reports a broken server instead of an unknown kind.
 *
 * Encoded as protobuf (gnostic's openapi.v2.Document): swagger = 1, info = 2 with
 * title = 1 and version = 2, paths = 8. Every length here fits one byte.
 */
import { assert, concatBytes, utf8 } from '#base/mod.ts';

const fields = { swagger: 1, info: 2, paths: 8, title: 1, version: 2 } as const;
const lengthDelimited = 2;
const oneByteMax = 127;

/** The type that clients ask for has an @ in it, which no content type may have. */
export const openApiTwoContentType = 'application/com.github.proto-openapi.spec.v2.v1.0+protobuf';

function field(number: number, content: Uint8Array): Uint8Array {
  assert(content.length <= oneByteMax, 'a field of the empty document is short');
  return concatBytes([Uint8Array.of(number * 8 + lengthDelimited, content.length), content]);
}

export function openApiTwoDocument(serverVersion: string): Uint8Array {
  const info = concatBytes([
    field(fields.title, utf8('Selvage')),
    field(fields.version, utf8(serverVersion.slice(0, 32))),
  ]);
  return concatBytes([
    field(fields.swagger, utf8('2.0')),
    field(fields.info, info),
    field(fields.paths, new Uint8Array()),
  ]);
}

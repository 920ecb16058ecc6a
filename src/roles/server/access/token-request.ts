/**
 * POST to the `token` of a ServiceAccount: a token of it, for a while and for certain
 * audiences. A dry run is refused as the request would be, and never has a token signed.
 */
import { isJsonObject, type JsonObject, ownOf } from '#base/mod.ts';
import {
  type FieldError,
  type Pod,
  refuseInvalid,
  type ResourceDefinition,
  StatusError,
  tokenLifeSecondsDefault,
  tokenRequestKind,
  type TokenRequestSpec,
  tokenRequestSchema,
  validateAgainstSchema,
} from '#platform/api/mod.ts';
import {
  type IssuedToken,
  type TokenBinding,
  tokenLifeSecondsMax,
} from '#platform/identity/mod.ts';
import { timestampOf } from '#platform/io/mod.ts';
import { isPretty, jsonAnswer } from '../answers.ts';
import { requireParsed } from '../body.ts';
import type { ServerParts } from '../dependencies.ts';
import { isDryRun } from '../query.ts';
import { readObject } from '../reading.ts';
import type { RouteHandler } from '../route-table.ts';

export function tokenRequestHandler(
  parts: ServerParts,
  definition: ResourceDefinition,
): RouteHandler {
  return async ({ request, query, parameters }) => {
    const { namespace = '', name = '' } = parameters;
    const dryRun = isDryRun(query.getAll('dryRun'));
    const { value } = await requireParsed(request);
    if (!isJsonObject(value) || value['kind'] !== tokenRequestKind.kind) {
      throw new StatusError(
        'BadRequest',
        'the body must be a TokenRequest of authentication.k8s.io/v1',
      );
    }
    refuseInvalid(tokenRequestKind, name, validateAgainstSchema(tokenRequestSchema, value));
    const { tokens } = parts;
    if (tokens === undefined) throw new StatusError('NotFound', 'this server issues no tokens');
    const account = readObject(parts, definition, namespace, name).object;
    const spec = (value['spec'] ?? {}) as TokenRequestSpec;
    const { audiences = [], expirationSeconds = tokenLifeSecondsDefault } = spec;
    const binding = bindingOf(parts, namespace, name, spec.boundObjectRef);
    const nodeName = binding?.kind === 'Pod' ? parts.nodeOfPod(namespace, binding.name) : undefined;
    const { uid = '' } = account.metadata;
    const lifeSeconds = Math.min(expirationSeconds, tokenLifeSecondsMax);
    const order = { namespace, name, uid, audiences, lifeSeconds, binding, nodeName };
    const status = dryRun ? unissued : statusOf(await tokens.issue(order));
    const { kind, apiVersion, metadata } = value;
    return jsonAnswer(
      201,
      {
        kind,
        apiVersion,
        metadata: { ...(isJsonObject(metadata) ? metadata : {}), name, namespace },
        spec: {
          ...spec,
          audiences: audiences.length === 0 ? [tokens.issuer] : audiences,
          expirationSeconds: lifeSeconds,
        },
        status,
      },
      { pretty: isPretty(query) },
    );
  };
}

/** What stands where no token was made: both fields are always there. */
const unissued = { token: '', expirationTimestamp: null };

function statusOf({ token, expiresAtMs }: IssuedToken): JsonObject {
  return { token, expirationTimestamp: timestampOf(expiresAtMs) };
}

const resourceOfKind: Readonly<Record<string, string>> = { Pod: 'pods', Secret: 'secrets' };

/** Throws 404, 409 or 422 where the object is not there, is another, or cannot be bound to. */
function bindingOf(
  parts: ServerParts,
  namespace: string,
  accountName: string,
  reference: TokenRequestSpec['boundObjectRef'],
): TokenBinding | undefined {
  if (reference === undefined) return undefined;
  const { kind = '', apiVersion = 'v1', name = '', uid = '' } = reference;
  const refuse = (field: string, message: string): never => {
    const error: FieldError = {
      field: `spec.boundObjectRef.${field}`,
      reason: 'FieldValueInvalid',
      message: `Invalid value: ${message}`,
    };
    refuseInvalid(tokenRequestKind, accountName, [error]);
    throw new RangeError('what has an error is refused');
  };
  const resource = ownOf(resourceOfKind, kind);
  if (resource === undefined || apiVersion !== 'v1') {
    return refuse('kind', 'tokens are bound to a Pod or a Secret of v1');
  }
  if (name === '') return refuse('name', 'must name the object');
  const definition = parts.registry.byStoreResource(resource);
  if (definition === undefined) throw new StatusError('NotFound', `there are no ${resource} here`);
  const { object } = readObject(parts, definition, namespace, name);
  const present = object.metadata.uid ?? '';
  if (uid !== '' && uid !== present) {
    throw new StatusError(
      'Conflict',
      `the UID in the bound object reference (${uid}) does not match the UID in record (${present}): it was made anew`,
    );
  }
  if (kind === 'Pod') {
    const { serviceAccountName = 'default' } = (object as Pod).spec;
    if (serviceAccountName !== accountName) {
      return refuse('name', `the pod ${name} runs as the ServiceAccount ${serviceAccountName}`);
    }
    return { kind, name, uid: present };
  }
  return { kind: 'Secret', name, uid: present };
}

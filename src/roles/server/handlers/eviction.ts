/** POST of an Eviction: `kubectl drain` asks a pod to leave its node. It is a deletion of the pod. */
import { isJsonObject } from '#base/mod.ts';
import {
  evictionSchema,
  refuseInvalid,
  type ResourceDefinition,
  StatusError,
  validateAgainstSchema,
} from '#platform/api/mod.ts';
import { admissionOf } from '../admission/admission.ts';
import { isPretty, jsonAnswer, successStatus } from '../answers.ts';
import { requireParsed } from '../body.ts';
import { deletionRequest } from '../delete-options.ts';
import type { ServerParts } from '../dependencies.ts';
import { warningHeaders } from '../object-decoding.ts';
import type { RouteHandler } from '../route-table.ts';
import { deleteObject } from './delete.ts';

export function evictionHandler(parts: ServerParts, definition: ResourceDefinition): RouteHandler {
  return async ({ request, query, parameters, user }) => {
    const { namespace = '', name = '' } = parameters;
    const { value } = await requireParsed(request);
    if (!isJsonObject(value) || value['kind'] !== 'Eviction') {
      throw new StatusError('BadRequest', 'the body must be an Eviction of policy/v1');
    }
    refuseInvalid(
      { group: 'policy', kind: 'Eviction' },
      name,
      validateAgainstSchema(evictionSchema, value),
    );
    const metadata = value['metadata'] ?? {};
    const named = isJsonObject(metadata) ? metadata['name'] : undefined;
    if (named !== undefined && named !== '' && named !== name) {
      throw new StatusError('BadRequest', 'name in URL does not match name in Eviction object');
    }
    const options = value['deleteOptions'] ?? {};
    const deletion = deletionRequest(isJsonObject(options) ? options : {}, query);
    const { dryRun } = deletion;
    const admission = admissionOf(parts, definition, { user }, 'delete', 'eviction', dryRun);
    await deleteObject(parts, definition, namespace, name, deletion, admission);
    return jsonAnswer(201, successStatus({ name, kind: 'pods' }), {
      pretty: isPretty(query),
      headers: warningHeaders(admission.warnings()),
    });
  };
}

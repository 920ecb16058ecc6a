/** GET of one object, and lists: whole, in pieces, as tables. */
import { concatBytes, utf8 } from '#base/mod.ts';
import {
  type ApiObject,
  apiVersionOf,
  partialObjectMetadata,
  listKindOf,
  type ResourceDefinition,
  StatusError,
  tableOf,
} from '#platform/api/mod.ts';
import type { HttpResponse } from '#platform/io/mod.ts';
import { bytesAnswer, isPretty, jsonAnswer, jsonContentType, jsonTextAnswer } from '../answers.ts';
import { holderOf, isOwnPart } from '../authorship.ts';
import { type ServerParts, storeOf } from '../dependencies.ts';
import { listLimitMax } from '../limits.ts';
import type { ListSession } from '../list-sessions.ts';
import { numberOf, refuseListOption, resourceVersionOf } from '../query.ts';
import { listObjects, listObjectsAt, readObject } from '../reading.ts';
import type { RequestContext, RouteHandler } from '../route-table.ts';
import { selectionOf } from '../selection.ts';
import type { ServedObject } from '../served-objects.ts';
import { synthesizedSource } from '../synthesized.ts';
import { includeObjectOf } from './tables.ts';

export function getHandler(parts: ServerParts, definition: ResourceDefinition): RouteHandler {
  return async (context) => {
    const { namespace = '', name = '' } = context.parameters;
    refuseFuture(parts, definition, resourceVersionOf(context.query));
    if (definition.storage === 'synthesized') {
      await synthesizedSource(definition).prepare?.(parts, namespace, name);
    }
    const served = readObject(parts, definition, namespace, name);
    return objectAnswer(parts, definition, context, 200, served);
  };
}

/** One object in the form that the request accepts. */
export function objectAnswer(
  parts: ServerParts,
  definition: ResourceDefinition,
  context: RequestContext,
  status: number,
  served: ServedObject,
  headers: Readonly<Record<string, string>> = {},
): HttpResponse {
  const pretty = isPretty(context.query);
  if (context.acceptance.form === 'table') {
    const table = tableOf(
      definition,
      [served.object],
      parts.clock.wallMs(),
      includeObjectOf(context.query),
      true,
      { resourceVersion: served.object.metadata.resourceVersion ?? '' },
    );
    return jsonAnswer(status, table, { pretty, headers });
  }
  if (context.acceptance.form === 'metadata') {
    return jsonAnswer(status, partialObjectMetadata(shownTo(context, served)), { pretty, headers });
  }
  if (pretty) return jsonAnswer(status, shownTo(context, served), { pretty, headers });
  const text = isOwnPart(context) ? JSON.stringify(served.object) : served.text();
  return jsonTextAnswer(status, text, headers);
}

/** Parts of this server have no use for who set which field. */
function shownTo(context: RequestContext, served: ServedObject): ApiObject {
  return isOwnPart(context) ? served.object : served.whole();
}

export function listHandler(parts: ServerParts, definition: ResourceDefinition): RouteHandler {
  return async (context) => {
    const { query } = context;
    const limit = numberOf(query, 'limit', 0, Number.MAX_SAFE_INTEGER) ?? 0;
    const pieceMax = limit === 0 ? listLimitMax : Math.min(limit, listLimitMax);
    const continued = query.get('continue') ?? '';
    if (definition.storage === 'synthesized' && continued === '') {
      const { namespace = '' } = context.parameters;
      await synthesizedSource(definition).prepare?.(parts, namespace, undefined);
    }
    if (continued !== '') refuseContinuedVersion(query);
    const { session, index } =
      continued === ''
        ? { session: beginList(parts, definition, context), index: 0 }
        : parts.listSessions.resume(continued, fingerprintOf(context));
    const items = session.items.slice(index, index + pieceMax).map((item) => item());
    const nextIndex = index + items.length;
    const left = session.items.length - nextIndex;
    const metadata: ListMetadata = { resourceVersion: session.resourceVersion };
    if (left > 0) {
      metadata.continue = parts.listSessions.keep(
        holderOf(context),
        session,
        nextIndex,
        continued === '' ? undefined : continued,
      );
      metadata.remainingItemCount = left;
    } else if (continued !== '') {
      parts.listSessions.forget(continued);
    }
    return listAnswer(parts, definition, context, items, metadata);
  };
}

interface ListMetadata {
  resourceVersion: string;
  continue?: string;
  remainingItemCount?: number;
}

function beginList(
  parts: ServerParts,
  definition: ResourceDefinition,
  context: RequestContext,
): ListSession {
  const { query } = context;
  const asked = resourceVersionOf(query);
  const exactly = exactRevisionOf(query, asked);
  refuseFuture(parts, definition, asked);
  const selection = selectionOf(query, definition);
  const namespace = context.parameters['namespace'] ?? '';
  const listing =
    exactly === undefined
      ? listObjects(parts, definition, namespace, selection)
      : listObjectsAt(parts, definition, namespace, selection, exactly);
  return {
    fingerprint: fingerprintOf(context),
    resourceVersion: String(listing.revision),
    items: listing.items,
  };
}

/**
 * The revision that the list is to be of; undefined where any that is not older will do.
 * A version together with a limit asks for just that one, as lists in pieces once did.
 */
function exactRevisionOf(query: URLSearchParams, asked: number | undefined): number | undefined {
  const match = query.get('resourceVersionMatch') ?? '';
  switch (match) {
    case '': {
      const isInPieces = (numberOf(query, 'limit', 0, Number.MAX_SAFE_INTEGER) ?? 0) > 0;
      return isInPieces && asked !== 0 ? asked : undefined;
    }
    case 'NotOlderThan':
    case 'Exact':
      if (asked === undefined) {
        throw refuseListOption(
          'resourceVersionMatch',
          'is forbidden unless resourceVersion is provided',
        );
      }
      if (match === 'NotOlderThan') return undefined;
      if (asked === 0) {
        throw refuseListOption(
          'resourceVersionMatch',
          'of "Exact" is forbidden for resourceVersion "0"',
        );
      }
      return asked;
    default:
      throw new StatusError('BadRequest', 'resourceVersionMatch is "NotOlderThan" or "Exact"');
  }
}

function refuseContinuedVersion(query: URLSearchParams): void {
  if ((query.get('resourceVersionMatch') ?? '') !== '') {
    throw refuseListOption('resourceVersionMatch', 'is forbidden when continue is provided');
  }
  if ((resourceVersionOf(query) ?? 0) !== 0) {
    throw new StatusError(
      'BadRequest',
      'specifying resource version is not allowed when using continue',
    );
  }
}

function fingerprintOf({ request, query }: RequestContext): string {
  const selectors = [query.get('labelSelector') ?? '', query.get('fieldSelector') ?? ''];
  return JSON.stringify([request.path, ...selectors]);
}

/** A version that this store has not reached: another store's, or one from before it was restored. */
export function refuseFuture(
  parts: ServerParts,
  definition: ResourceDefinition,
  asked: number | undefined,
): void {
  const { revision } = storeOf(parts, definition);
  if (asked !== undefined && asked > revision) {
    throw new StatusError(
      'Timeout',
      `Too large resource version: ${asked}, current: ${revision}. List again without resourceVersion.`,
      {
        retryAfterSeconds: 1,
        causes: [
          { reason: 'ResourceVersionTooLarge', message: 'Too large resource version', field: '' },
        ],
      },
    );
  }
}

function listAnswer(
  parts: ServerParts,
  definition: ResourceDefinition,
  context: RequestContext,
  items: readonly ServedObject[],
  metadata: ListMetadata,
): HttpResponse {
  const pretty = isPretty(context.query);
  if (context.acceptance.form === 'table') {
    const table = tableOf(
      definition,
      items.map((item) => item.object),
      parts.clock.wallMs(),
      includeObjectOf(context.query),
      true,
      metadata,
    );
    return jsonAnswer(200, table, { pretty });
  }
  if (context.acceptance.form === 'metadata') {
    const value = {
      kind: 'PartialObjectMetadataList',
      apiVersion: 'meta.k8s.io/v1',
      metadata,
      items: items.map((item) => partialObjectMetadata(shownTo(context, item))),
    };
    return jsonAnswer(200, value, { pretty });
  }
  const head = {
    kind: listKindOf(definition),
    apiVersion: apiVersionOf(definition),
    metadata,
  };
  if (pretty) {
    const shown = items.map((item) => shownTo(context, item));
    return jsonAnswer(200, { ...head, items: shown }, { pretty });
  }
  const isOwn = isOwnPart(context);
  const bytes: Uint8Array[] = [utf8(`${JSON.stringify(head).slice(0, -1)},"items":[`)];
  for (const [position, item] of items.entries()) {
    if (position > 0) bytes.push(comma);
    bytes.push(isOwn ? utf8(JSON.stringify(item.object)) : parts.served.listedJson(item));
  }
  bytes.push(utf8(']}'));
  return bytesAnswer(200, concatBytes(bytes), jsonContentType);
}

const comma = utf8(',');

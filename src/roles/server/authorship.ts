/** Who makes a request: for the record of who set which field of an object, and for what is counted by user. */
import { type Author, fieldRequired, refuseInvalid, type Subresource } from '#platform/api/mod.ts';
import { fieldManagerLengthMax } from './limits.ts';
import type { ServerParts } from './dependencies.ts';
import type { RequestContext } from './route-table.ts';

const groupOfParts = 'system:controllers';
const unnamed = 'unknown';

/** A part of this server, which has no use for the record of who set which field. */
export function isOwnPart({ user }: RequestContext): boolean {
  return user?.groups.includes(groupOfParts) === true;
}

/** By whose name is counted what a request holds for a while; undefined: a part of this server. */
export type Holder = string | undefined;

export function holderOf(context: RequestContext): Holder {
  return isOwnPart(context) ? undefined : (context.user?.name ?? unnamed);
}

/**
 * `fieldManager` of the query, else the name of the program that the request gives. Parts
 * of this server go by their own name. Throws StatusError 422.
 */
export function authorOf(
  { clock }: ServerParts,
  context: RequestContext,
  subresource: Subresource | undefined,
): Author {
  const isOwn = isOwnPart(context);
  const given = context.query.get('fieldManager') ?? '';
  if (given !== '') requireFieldManager(given);
  const manager = given === '' ? (isOwn ? ownName(context) : programOf(context)) : given;
  const seconds = Math.floor(clock.wallMs() / 1000);
  return { manager, subresource: subresource ?? '', seconds, isOwn };
}

/** As `authorOf`, for an apply, which has to say who applies. */
export function applierOf(
  parts: ServerParts,
  context: RequestContext,
  subresource: Subresource | undefined,
): Author {
  if ((context.query.get('fieldManager') ?? '') === '') {
    refuseInvalid(patchOptions, '', [fieldRequired('fieldManager', 'is required for apply patch')]);
  }
  return authorOf(parts, context, subresource);
}

const patchOptions = { group: 'meta.k8s.io', kind: 'PatchOptions' };

function requireFieldManager(name: string): void {
  const isTooLong = name.length > fieldManagerLengthMax;
  if (!isTooLong && /^[\p{L}\p{M}\p{N}\p{P}\p{S} ]+$/u.test(name)) return;
  const message = isTooLong
    ? `Too long: may not be more than ${fieldManagerLengthMax} characters`
    : 'Invalid value: should only contain printable characters';
  const reason = isTooLong ? ('FieldValueTooLong' as const) : ('FieldValueInvalid' as const);
  refuseInvalid(patchOptions, '', [{ field: 'fieldManager', reason, message }]);
}

function ownName({ user }: RequestContext): string {
  return (user?.name ?? unnamed).replace(/^system:(controller:)?/, '');
}

/** `kubectl` of `kubectl/v1.32.5 (linux/amd64)`. */
function programOf({ request }: RequestContext): string {
  const agent = request.headers['user-agent'] ?? '';
  const end = agent.indexOf('/');
  const name = (end < 0 ? agent : agent.slice(0, end)).slice(0, fieldManagerLengthMax);
  const shown = name.replace(/[^\x20-\x7e]/g, '');
  return shown === '' ? unnamed : shown;
}

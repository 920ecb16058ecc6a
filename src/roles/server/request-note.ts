/** What is known of one request on its way, for whoever counts or records it. */
import type { User } from '#platform/identity/mod.ts';
import type { RouteRow } from './route-table.ts';

export interface RequestNote {
  /** The row that it matched. */
  row: RouteRow | undefined;
  parameters: Readonly<Record<string, string>>;
  /** Who asks; undefined without credentials. */
  user: User | undefined;
  /** As whom `user` asks, where that is somebody else. */
  impersonated: User | undefined;
  /** What the door said; undefined where it was not asked. */
  decision: { readonly isAllowed: boolean; readonly reason: string } | undefined;
  /** Of an object whose name is not in the path: one that was created. */
  objectName: string | undefined;
}

export function newRequestNote(): RequestNote {
  return {
    row: undefined,
    parameters: {},
    user: undefined,
    impersonated: undefined,
    decision: undefined,
    objectName: undefined,
  };
}

/** What a front and the owner of the log say to each other beyond requests. */
import type { AuditEvent } from '#platform/audit/mod.ts';
import type { Address, Credentials, RefusedRequest } from '#platform/io/mod.ts';
import type { ObservedRow } from '#roles/server/mod.ts';

/** Asked by a front before anything else. */
export interface FrontSettings {
  readonly address: Address;
  readonly credentials: Credentials;
  readonly trustPem: string;
  readonly connectionsMax: number;
  readonly isAudited: boolean;
}

/** Of what is acknowledged, in both stores. */
export interface Revisions {
  readonly main: number;
  readonly events: number;
}

export type FrontQuestion = { readonly type: 'settings' } | { readonly type: 'revisions' };

export interface ObservedAnswer {
  readonly row: ObservedRow;
  readonly status: number;
  readonly durationMs: number;
}

export type FrontNews =
  | { readonly type: 'listening' }
  /** What a front has answered by itself since it last said so. */
  | {
      readonly type: 'answered';
      readonly observed: readonly ObservedAnswer[];
      readonly audited: readonly AuditEvent[];
      readonly omitted: number;
    }
  | { readonly type: 'refused'; readonly refused: RefusedRequest };

export const feedMethod = 'front.feed';

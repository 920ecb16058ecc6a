/**
 * The door that is shut while followers know another history than this server: who
 * writes now might write over what is about to be given up or taken back. Reads, and
 * what nodes report, go on.
 */
import { StatusError } from '#platform/api/mod.ts';
import type { User } from '#platform/identity/mod.ts';
import type { RouteRow } from './route-table.ts';

export interface DivergencePort {
  /** For people: what was found and what to do; undefined while all agree. */
  words(): string | undefined;
  /** Begins a new incarnation, with `adopt` after nodes gave back what they hold. Throws StatusError. */
  settle(options: {
    readonly choice: 'adopt' | 'impose';
    readonly dryRun: boolean;
    readonly withoutAbsent: boolean;
  }): Promise<SettlementAnswer>;
}

export interface SettlementAnswer {
  readonly incarnation?: string;
  readonly epoch?: number;
  readonly outcomes: readonly {
    readonly object: string;
    readonly nodeName: string;
    readonly outcome: 'taken in' | 'brought up to date' | 'present' | 'refused';
    readonly remark?: string;
  }[];
  readonly failed: readonly { readonly nodeName: string; readonly why: string }[];
  readonly remarks: readonly string[];
  readonly absent: readonly string[];
}

/** The hub's own: events about nodes and pods. */
const userHub = 'system:hub';
/** What settles it or must never wait for it. */
const open = new Set(
  ['incarnations', 'backups', 'noderevocations', 'noderenewals'].map(
    (name) => `/apis/selvage.dev/v1/${name}`,
  ),
);

/** Throws 503 for a change while the histories differ. */
export function refuseWhileDiverged(
  divergence: DivergencePort | undefined,
  row: RouteRow,
  user: User | undefined,
): void {
  if (row.method === 'GET' || row.method === 'HEAD' || open.has(row.pattern)) return;
  if (isQuestion(row)) return;
  const words = divergence?.words();
  if (words === undefined || user?.name === userHub) return;
  throw new StatusError('ServiceUnavailable', words);
}

/** What is posted and changes nothing. */
function isQuestion({ subject }: RouteRow): boolean {
  if (subject.type !== 'resource') return false;
  return subject.definition?.storage === 'answered' || subject.subresource === 'token';
}

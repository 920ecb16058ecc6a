/**
 * `/healthz`, `/livez` and `/readyz`: a word for those who only look at the status, and with
 * `?verbose` each check in a line, as people know it of Kubernetes. `?exclude=NAME` leaves one out,
 * and `/readyz/NAME` is about one alone.
 *
 * Invariant: anybody may ask, so the lines say which check fails and never why in particular.
 */
import { StatusError } from '#platform/api/mod.ts';
import type { HttpResponse } from '#platform/io/mod.ts';
import { textAnswer } from '../answers.ts';
import type { ServerParts } from '../dependencies.ts';
import type { RouteRow } from '../route-table.ts';

export interface HealthCheck {
  readonly name: string;
  /** Whether the answer is 503 while it fails; else it is told of, and all goes on. */
  readonly isVital: boolean;
  /** What is the matter, in words that anybody may read; undefined where all is well. */
  failure(): string | undefined;
}

const excludedMax = 32;

const latchedText = 'the store has stopped after a failure of the disk: restart the server';

const divergedText =
  "nodes have another history than this server, as after a restore: no changes are taken until an administrator runs 'selvage restore adopt' or 'selvage restore impose'";

const auditFailingText =
  'the audit log cannot be written: see selvage_audit_lost_total of /metrics and docs/operations/audit.md';

export function healthRows(parts: ServerParts): readonly RouteRow[] {
  const ping = check('ping', () => undefined);
  const ready: readonly HealthCheck[] = [
    ping,
    check('log', () => (parts.store.isLatched ? latchedText : undefined)),
    check('event-log', () => (parts.eventStore.isLatched ? latchedText : undefined)),
    // Who and what is told to those who may write.
    check('history', () => (parts.divergence?.words() === undefined ? undefined : divergedText)),
    {
      name: 'audit',
      // Requests go on without it, so this server is ready; whoever looks shall know.
      isVital: false,
      failure: () => (parts.isAuditFailing() ? auditFailingText : undefined),
    },
  ];
  return [...rows('healthz', [ping]), ...rows('livez', [ping]), ...rows('readyz', ready)];
}

function check(name: string, failure: HealthCheck['failure']): HealthCheck {
  return { name, isVital: true, failure };
}

/** For all checks of an endpoint together, and for each alone. */
function rows(name: string, checks: readonly HealthCheck[]): readonly RouteRow[] {
  const common = { method: 'GET', watch: false } as const;
  const subject = { type: 'path', verb: 'get', area: 'health' } as const;
  return [
    {
      ...{ ...common, subject, pattern: `/${name}` },
      handler: async ({ query }) => healthAnswer(name, checks, query),
    },
    {
      ...{ ...common, subject, pattern: `/${name}/{check}` },
      handler: async ({ query, parameters }) => {
        const one = checks.filter((candidate) => candidate.name === parameters['check']);
        if (one.length > 0) return healthAnswer(name, one, query);
        const names = checks.map((known) => known.name).join(', ');
        throw new StatusError('NotFound', `/${name} has no such check: there is ${names}`);
      },
    },
  ];
}

/**
 * The answer of the endpoint `name`: 200, or 503 while a vital check fails that is not excluded.
 * Throws StatusError where more checks are to be excluded than anybody has.
 */
export function healthAnswer(
  name: string,
  checks: readonly HealthCheck[],
  query: URLSearchParams,
): HttpResponse {
  const excluded = new Set(query.getAll('exclude'));
  if (excluded.size > excludedMax) {
    throw new StatusError('BadRequest', `exclude may be given ${excludedMax} times at most`);
  }
  const lines: string[] = [];
  const failures: { readonly check: HealthCheck; readonly words: string }[] = [];
  for (const check of checks) {
    if (excluded.delete(check.name)) {
      lines.push(`[+]${check.name} excluded: ok`);
      continue;
    }
    const words = check.failure();
    if (words !== undefined) failures.push({ check, words });
    const outcome = words === undefined ? 'ok' : 'failed: reason withheld';
    lines.push(`[${words === undefined ? '+' : '-'}]${check.name} ${outcome}`);
  }
  const vital = failures.find(({ check }) => check.isVital);
  const status = vital === undefined ? 200 : 503;
  if (!query.has('verbose')) {
    const [first] = failures;
    return textAnswer(status, vital?.words ?? (first ? `ok, but ${first.words}` : 'ok'));
  }
  if (excluded.size > 0) {
    const names = [...excluded].map((unknown) => JSON.stringify(unknown)).join(',');
    lines.push(`warn: some health checks cannot be excluded: no matches for ${names}`);
  }
  for (const { check } of failures) {
    if (!check.isVital) lines.push(`warn: requests are answered without ${check.name}`);
  }
  lines.push(`${name} check ${vital === undefined ? 'passed' : 'failed'}`);
  return textAnswer(status, `${lines.join('\n')}\n`);
}

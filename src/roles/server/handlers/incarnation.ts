/** POST …/incarnations {choice, dryRun?, withoutAbsent?}: an operator settles whose history counts. */
import type { JsonObject } from '#base/mod.ts';
import { StatusError } from '#platform/api/mod.ts';
import { jsonAnswer } from '../answers.ts';
import type { DivergencePort, SettlementAnswer } from '../divergence.ts';
import type { RouteHandler } from '../route-table.ts';
import { fieldsOf, requiredText } from './small-body.ts';

/** Of what is told one by one; the counts are of all. */
const toldMax = 1_000;

export function incarnationHandler(divergence: DivergencePort): RouteHandler {
  return async ({ request }) => {
    const body = await fieldsOf(request, ['choice', 'dryRun', 'withoutAbsent']);
    const choice = requiredText(body, 'choice');
    if (choice !== 'adopt' && choice !== 'impose') {
      throw new StatusError('BadRequest', 'choice must be adopt or impose');
    }
    const dryRun = flag(body, 'dryRun');
    const withoutAbsent = flag(body, 'withoutAbsent');
    if (divergence.words() === undefined) {
      throw new StatusError(
        'Conflict',
        'nothing is to be settled: no follower has another history',
      );
    }
    const settled = await divergence.settle({ choice, dryRun, withoutAbsent });
    return jsonAnswer(dryRun ? 200 : 201, {
      kind: 'Incarnation',
      apiVersion: 'selvage.dev/v1',
      choice,
      dryRun,
      ...told(settled),
    });
  };
}

function told({ incarnation, epoch, outcomes, failed, remarks, absent }: SettlementAnswer) {
  const counts: Record<string, number> = {};
  for (const { outcome } of outcomes) counts[outcome] = (counts[outcome] ?? 0) + 1;
  return {
    ...(incarnation === undefined ? {} : { incarnation }),
    ...(epoch === undefined ? {} : { epoch }),
    counts,
    outcomes: outcomes.filter(({ outcome }) => outcome !== 'present').slice(0, toldMax),
    failed: failed.slice(0, toldMax),
    remarks: remarks.slice(0, toldMax),
    absent: absent.slice(0, toldMax),
  };
}

function flag(body: JsonObject, field: string): boolean {
  const value = body[field] ?? false;
  if (typeof value === 'boolean') return value;
  throw new StatusError('BadRequest', `${field} must be true or false`);
}

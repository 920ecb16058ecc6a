/** POST …/incarnations {choice}: an operator settles whose history counts. */
import { StatusError } from '#platform/api/mod.ts';
import { jsonAnswer } from '../answers.ts';
import type { DivergencePort } from '../divergence.ts';
import type { RouteHandler } from '../route-table.ts';
import { fieldsOf, requiredText } from './small-body.ts';

export function incarnationHandler(divergence: DivergencePort): RouteHandler {
  return async ({ request }) => {
    const choice = requiredText(await fieldsOf(request, ['choice']), 'choice');
    if (choice === 'adopt') {
      throw new StatusError(
        'BadRequest',
        'adopt is not available: this version cannot take over what its followers know; choose impose, or restore a newer backup',
      );
    }
    if (choice !== 'impose') throw new StatusError('BadRequest', 'choice must be impose');
    if (divergence.words() === undefined) {
      throw new StatusError(
        'Conflict',
        'nothing is to be settled: no follower has another history',
      );
    }
    const { incarnation } = await divergence.impose();
    return jsonAnswer(201, {
      kind: 'Incarnation',
      apiVersion: 'selvage.dev/v1',
      choice,
      incarnation,
    });
  };
}

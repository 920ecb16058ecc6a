/** How much one write may make its rules compute. */
import { CelError } from './errors.ts';
import type { Budget } from './values.ts';

/** Steps of one rule on one value; about a tenth of a microsecond each. */
export const celRuleStepsMax = 300_000;
/** Steps of all rules on one object. */
export const celObjectStepsMax = 2_000_000;

export interface ObjectBudget {
  /** What one rule may spend, from the rest of all. */
  forRule(): Budget;
}

export function createObjectBudget(): ObjectBudget {
  let spent = 0;
  return {
    forRule() {
      let spentByRule = 0;
      return {
        spend(steps) {
          spentByRule += steps;
          spent += steps;
          if (spentByRule > celRuleStepsMax) {
            throw new CelError(
              'CEL_BUDGET',
              `the rule takes more than ${celRuleStepsMax} steps on this value: bound it by maxItems, maxLength or maxProperties, or make the rule simpler`,
            );
          }
          if (spent > celObjectStepsMax) {
            throw new CelError(
              'CEL_BUDGET',
              `the rules of this kind take more than ${celObjectStepsMax} steps on this object together`,
            );
          }
        },
      };
    },
  };
}

/** A requirement of the simulation that did not hold. The message names the seed. */
import { SelvageError, type ErrorDetails } from '#base/mod.ts';

export type SimulationFailureCode =
  | 'SIM_NOT_READY'
  | 'SIM_PROCESS_FAILED'
  | 'SIM_OPERATOR_REFUSED'
  | 'SIM_INVARIANT';

export interface FailureDetails extends ErrorDetails {
  /** Names and uids of what it is about, as log lines and commits have them. */
  readonly about?: readonly string[];
}

export class SimulationFailure extends SelvageError {
  override readonly name = 'SimulationFailure';
  declare readonly code: SimulationFailureCode;
  readonly about: readonly string[];

  constructor(code: SimulationFailureCode, message: string, details: FailureDetails = {}) {
    super(code, message, details);
    this.about = details.about ?? [];
  }
}

/** A requirement of the simulation that did not hold. The message names the seed. */
import { SelvageError } from '#base/mod.ts';

export type SimulationFailureCode =
  | 'SIM_NOT_READY'
  | 'SIM_PROCESS_FAILED'
  | 'SIM_OPERATOR_REFUSED'
  | 'SIM_INVARIANT';

export class SimulationFailure extends SelvageError {
  override readonly name = 'SimulationFailure';
  declare readonly code: SimulationFailureCode;
}

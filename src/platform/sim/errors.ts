/** What the simulator itself raises: always a fault of the program or of the scenario. */
import { SelvageError } from '#base/mod.ts';

export type SimulationErrorCode = 'SIM_EVENT_THREW' | 'SIM_STUCK' | 'SIM_MISUSE';

export class SimulationError extends SelvageError {
  override readonly name = 'SimulationError';
  declare readonly code: SimulationErrorCode;
}

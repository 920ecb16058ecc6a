/** How functions of expressions are declared: by name, with the types that they take. */
import { CelError, evaluationError } from './errors.ts';
import { type CelType, mayBe } from './types.ts';
import { type Budget, kindOf, noOverload, type Value } from './values.ts';

export interface Overload {
  readonly isMethod: boolean;
  /** The target of a method comes first. */
  readonly parameters: readonly CelType[];
  readonly result: CelType;
  run(given: readonly Value[], budget: Budget): Value;
}

export type Overloads = Readonly<Record<string, readonly Overload[]>>;

type Run<Given extends readonly Value[]> = (...given: [...Given, Budget]) => Value;

/**
 * `run` gets values of the kinds that the parameters name: the table is the place where
 * the two are written side by side, so it is believed.
 */
export function method<Given extends readonly Value[]>(
  parameters: readonly CelType[],
  result: CelType,
  run: Run<Given>,
): Overload {
  return { isMethod: true, parameters, result, run: called(run) };
}

export function plain<Given extends readonly Value[]>(
  parameters: readonly CelType[],
  result: CelType,
  run: Run<Given>,
): Overload {
  return { isMethod: false, parameters, result, run: called(run) };
}

function called<Given extends readonly Value[]>(run: Run<Given>): Overload['run'] {
  return (given, budget) => run(...(given as unknown as Given), budget);
}

/** Those that may take what is known of the arguments. */
export function candidatesFor(
  overloads: readonly Overload[],
  isMethod: boolean,
  types: readonly CelType[],
): readonly Overload[] {
  return overloads.filter(
    (overload) =>
      overload.isMethod === isMethod &&
      overload.parameters.length === types.length &&
      overload.parameters.every((parameter, at) => mayBe(types[at] ?? parameter, parameter)),
  );
}

/** Calls the first that takes these values. */
export function callOne(
  name: string,
  candidates: readonly Overload[],
  given: readonly Value[],
  budget: Budget,
): Value {
  for (const overload of candidates) {
    if (!takes(overload, given)) continue;
    try {
      return overload.run(given, budget);
    } catch (error) {
      // A function of the language that cannot work with such a value.
      if (error instanceof CelError || !(error instanceof RangeError)) throw error;
      throw evaluationError(`${name}: ${error.message}`);
    }
  }
  throw noOverload(name, ...given);
}

function takes({ parameters }: Overload, given: readonly Value[]): boolean {
  return given.every((value, at) => {
    const wanted = parameters[at]?.kind;
    return wanted === 'dyn' || wanted === kindOf(value);
  });
}

/**
 * What a pod asks for as a whole, exactly. Sidecars run with all that comes after
 * them, other init containers with those before them alone: what counts is the most
 * at any one time, and what its runtime takes beside.
 */
import { ownOf } from '#base/mod.ts';
import { addQuantities, compareQuantities, type Quantity, tryParseQuantity } from '../quantity.ts';
import { type Container, isSidecar, type PodSpec } from './pod-types.ts';

export type Amounts = Readonly<Record<string, Quantity>>;

/** Sums by resource; a resource that no container states is not there. */
export function podAmounts(spec: PodSpec, kind: 'requests' | 'limits'): Amounts {
  let sidecars: Amounts = {};
  let highest: Amounts = {};
  for (const container of spec.initContainers ?? []) {
    const together = sumOf(sidecars, amountsOf(container, kind));
    if (isSidecar(container)) sidecars = together;
    highest = highestOf(highest, together);
  }
  const running = spec.containers.reduce(
    (sum, container) => sumOf(sum, amountsOf(container, kind)),
    sidecars,
  );
  const most = highestOf(highest, running);
  // What is taken beside adds to a limit only where there is one.
  const overhead = quantitiesOf(spec.overhead);
  return kind === 'requests'
    ? sumOf(most, overhead)
    : sumOf(
        most,
        Object.fromEntries(Object.entries(overhead).filter(([name]) => Object.hasOwn(most, name))),
      );
}

/** What one container states. */
export function amountsOf(container: Container, kind: 'requests' | 'limits'): Amounts {
  return quantitiesOf(container.resources?.[kind]);
}

/** Amounts that are written as text; what is no amount is left out. */
export function quantitiesOf(amounts: Readonly<Record<string, unknown>> = {}): Amounts {
  const found: Record<string, Quantity> = {};
  for (const [name, value] of Object.entries(amounts)) {
    if (typeof value !== 'string' && typeof value !== 'number') continue;
    const quantity = tryParseQuantity(value);
    if (quantity !== undefined) found[name] = quantity;
  }
  return found;
}

function sumOf(left: Amounts, right: Amounts): Amounts {
  return merged(left, right, addQuantities);
}

function highestOf(left: Amounts, right: Amounts): Amounts {
  return merged(left, right, (one, other) => (compareQuantities(one, other) < 0 ? other : one));
}

function merged(
  left: Amounts,
  right: Amounts,
  both: (one: Quantity, other: Quantity) => Quantity,
): Amounts {
  const result: Record<string, Quantity> = { ...left };
  for (const [name, quantity] of Object.entries(right)) {
    const other = ownOf(left, name);
    result[name] = other === undefined ? quantity : both(other, quantity);
  }
  return result;
}

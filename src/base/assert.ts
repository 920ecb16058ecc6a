/**
 * Assertions that stay on in production. A failed assertion means that the
 * program is wrong, never that its input is: it stops the process rather than
 * let it act on a state that cannot be.
 */

export class AssertionFailure extends Error {
  override readonly name = 'AssertionFailure';
}

/** Stops the caller when `condition` does not hold. `message` says what should have held. */
export function assert(condition: unknown, message: string): asserts condition {
  if (!condition) throw new AssertionFailure(message);
}

/** Closes a switch over a discriminated union: a new member is a type error here. */
export function unreachable(value: never): never {
  throw new AssertionFailure(`unreachable: ${JSON.stringify(value)}`);
}

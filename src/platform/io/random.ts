/** Randomness. Cryptographic in production, a seeded stream per owner in simulation. */
export interface Random {
  bytes(count: number): Uint8Array;
  /** Uniform in [0, 1). */
  unit(): number;
  /** Uniform integer in [0, bound). `bound` is a positive integer up to 2^31. */
  below(bound: number): number;
  /** RFC 9562 version 4, lower case. */
  uuid(): string;
}

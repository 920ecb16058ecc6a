/**
 * How fast a simulated fleet lives. A short life is minutes of much trouble; a long
 * one is days, in which certificates end and clocks are wrong by more than their lives:
 * everything that is done to it takes longer, and nodes are heard of less often.
 */
export interface Pace {
  readonly heartbeatIntervalMs: number;
  /** What people, clients and troubles take is so many times as long as in a short life. */
  readonly stretch: number;
  readonly longestJumpMs: number;
  /** Nodes are away for so long now and then, beyond the end of their certificates. */
  readonly longestAbsenceMs: number;
  /** From the end of all trouble until all must be as declared. */
  readonly convergenceLimitMs: number;
}

const hourMs = 3_600_000;

export const paces = {
  short: {
    heartbeatIntervalMs: 2_000,
    stretch: 1,
    longestJumpMs: 600_000,
    longestAbsenceMs: 0,
    convergenceLimitMs: 300_000,
  },
  long: {
    heartbeatIntervalMs: 30_000,
    stretch: 60,
    longestJumpMs: 72 * hourMs,
    longestAbsenceMs: 30 * hourMs,
    convergenceLimitMs: 2 * hourMs,
  },
} as const satisfies Readonly<Record<string, Pace>>;

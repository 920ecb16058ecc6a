/** How often agents renewed their certificates, and how often only after their end. */
import type { NodeIdentity } from '#platform/identity/mod.ts';
import { timestampOf, type Clock, type Logger } from '#platform/io/mod.ts';

const renewedMessage = 'certificate renewed';

export class Renewals {
  count = 0;
  lateCount = 0;
  /** The end of each node's newest certificate, as it is written. */
  readonly #ends = new Map<string, string>();

  /** The same logger, for one agent's renewals. */
  counting(logger: Logger, clock: Clock, { nodeName }: NodeIdentity): Logger {
    return {
      log: (level, message, fields) => {
        logger.log(level, message, fields);
        const end = fields?.['notAfter'];
        if (message !== renewedMessage || typeof end !== 'string') return;
        const before = this.#ends.get(nodeName);
        this.#ends.set(nodeName, end);
        this.count += 1;
        // Instants that are written alike compare as texts do.
        if (before !== undefined && before < timestampOf(clock.wallMs())) this.lateCount += 1;
      },
      with: (more) => logger.with(more),
    };
  }

  /** What the node has before it first renews. */
  begin({ nodeName }: NodeIdentity, notAfterMs: number): void {
    this.#ends.set(nodeName, timestampOf(notAfterMs));
  }
}

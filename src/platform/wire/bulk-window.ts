/**
 * How much bulk a receiver lets be under way: what the link moves in 50 ms, so
 * that what queues in front of a control frame costs no more than that.
 *
 * The rate is taken inside bursts (arrivals less than `burstGapMs` apart), not
 * over the whole time: between two bursts the link was waiting for credit, and a
 * rate that counted the waiting would shrink the window that caused it.
 */
import { bulkCreditWindowMs } from './limits.ts';

const burstGapMs = 20;
const sampleBytesMin = 16 * 1024;
/** Weight of the newest sample. */
const smoothing = 0.3;

export class BulkWindow {
  readonly #minBytes: number;
  readonly #maxBytes: number;
  #burstStartMs = -1;
  #lastMs = -1;
  #burstBytes = 0;
  #bytesPerMs: number | undefined;

  constructor(minBytes: number, maxBytes: number) {
    this.#minBytes = minBytes;
    this.#maxBytes = maxBytes;
  }

  /** `nowMs` is monotonic. */
  arrived(sizeBytes: number, nowMs: number): void {
    if (this.#lastMs < 0 || nowMs - this.#lastMs > burstGapMs) {
      this.#burstStartMs = nowMs;
      this.#burstBytes = 0;
    } else {
      // The first arrival of a burst only starts its clock.
      this.#burstBytes += sizeBytes;
    }
    this.#lastMs = nowMs;
    const elapsedMs = nowMs - this.#burstStartMs;
    if (this.#burstBytes < sampleBytesMin) return;
    const sample = this.#burstBytes / Math.max(elapsedMs, 0.1);
    this.#bytesPerMs =
      this.#bytesPerMs === undefined
        ? sample
        : this.#bytesPerMs + (sample - this.#bytesPerMs) * smoothing;
    this.#burstStartMs = nowMs;
    this.#burstBytes = 0;
  }

  creditBytes(): number {
    const wanted = Math.floor((this.#bytesPerMs ?? 0) * bulkCreditWindowMs);
    return Math.min(this.#maxBytes, Math.max(this.#minBytes, wanted));
  }
}

/**
 * What happened in a simulation, in words, for the report of a seed that failed: what
 * was committed, what the programs logged, what was done to machines and links. Only
 * the newest lines are kept. Telling it changes nothing of what happens.
 */
import type { WorldLogLine } from '#platform/sim/mod.ts';
import type { CommittedBatch } from '#platform/store/mod.ts';
import { hasWord, keyText } from './truth.ts';

const linesMax = 100_000;
const lineLengthMax = 400;
const ticksPerMs = 1024;
/** Events of a world that are done to it, of all that its trace has. */
const doneToIt: readonly string[] = [
  'boot',
  'crash',
  'power-off',
  'freeze',
  'clock-rate',
  'clock-jump',
  'partition',
  'heal',
  'reset',
  'silence',
];

export class Story {
  readonly #lines: string[] = [];
  #next = 0;

  log({ atMs, host, level, message, fields }: WorldLogLine): void {
    const more = Object.keys(fields).length === 0 ? '' : ` ${JSON.stringify(fields)}`;
    this.#tell(atMs, host, `${level}: ${message}${more}`);
  }

  commit(atMs: number, { revision, events }: CommittedBatch): void {
    for (const { type, object } of events) {
      const facets = Object.entries(object.facets)
        .filter(([, value]) => type === 'put' && value.revision === revision)
        .map(([facet]) => facet);
      const what = type === 'put' ? `${facets.join(' and ')} of` : 'deletion of';
      this.#tell(
        atMs,
        'store',
        `revision ${revision}: ${what} ${keyText(object.key)} ${object.uid}`,
      );
    }
  }

  /** A line of the world's trace: ticks, owner, kind, detail. */
  trace(line: string): void {
    const [ticks = '', owner = '', kind = '', ...detail] = line.split(' ');
    if (!doneToIt.includes(kind)) return;
    this.#tell(Number(ticks) / ticksPerMs, owner, [kind, ...detail].join(' ').trimEnd());
  }

  /** The newest lines that have one of these words in them, oldest first. */
  about(words: readonly string[], most: number): readonly string[] {
    const found: string[] = [];
    for (let back = 1; back <= this.#lines.length && found.length < most; back += 1) {
      const at = (this.#next - back + linesMax) % linesMax;
      const line = this.#lines[at] ?? '';
      if (words.length === 0 || words.some((word) => hasWord(line, word))) found.push(line);
    }
    return found.reverse();
  }

  #tell(atMs: number, who: string, what: string): void {
    const text = `${atMs.toFixed(1).padStart(11)} ${who.padEnd(10)} ${what}`;
    this.#lines[this.#next] =
      text.length > lineLengthMax ? `${text.slice(0, lineLengthMax)}…` : text;
    this.#next = (this.#next + 1) % linesMax;
  }
}

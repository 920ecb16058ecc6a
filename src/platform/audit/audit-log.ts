/**
 * The audit log: what was asked of the API, as lines that each carry the hash of all
 * before. Written in order, off the path of the requests: events gather for a moment
 * and go to the disk with one sync.
 *
 * Invariants:
 * 1. A line's number is one above that of the line before, also over segments and
 *    restarts, and is given only when the line goes to the disk.
 * 2. What waits is bounded. What does not fit any more is counted, and a gap stands in
 *    its place in the chain; requests go on.
 * 3. After a failed sync the segment is not trusted any more: what was in flight is
 *    written again into a new one, under the same numbers.
 * 4. A segment is let go only after the anchor says so.
 * What a crash may take is what was recorded since the last sync: `gatherMs`, and what
 * the disk takes to write.
 */
import { assert, errorText, utf8 } from '#base/mod.ts';
import {
  type Clock,
  type Disk,
  type DiskFile,
  type Logger,
  microTimestampOf,
  type Random,
  type Timer,
  type Timers,
} from '#platform/io/mod.ts';
import { writeAnchor } from './anchor.ts';
import { type AuditPlace, type ChainedLine, lineAfter } from './line.ts';
import { type KeptSegment, recoverAudit } from './recovery.ts';
import { segmentName } from './segments.ts';
import type { AuditEntry, AuditEvent, AuditLog, AuditMark, AuditState } from './types.ts';

export interface AuditPorts {
  /** A folder of its own. */
  readonly disk: Disk;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly random: Random;
  readonly logger: Logger;
}

export interface AuditOptions {
  readonly segmentBytesMax?: number;
  /** Of all segments; the oldest go as a new one begins. */
  readonly retainBytesMax?: number;
  /** Events that may wait for the disk. */
  readonly waitingEventsMax?: number;
}

export const auditRetainBytesMaxDefault = 256 * 1024 * 1024;
const segmentBytesMaxDefault = 16 * 1024 * 1024;
const waitingEventsMaxDefault = 8_192;
const linesPerWriteMax = 1_000;
const gatherMs = 200;
const retryMs = 1_000;
const anchorEveryMs = 10_000;
/** Until the log is open. */
const nowhere: AuditPlace = { sequence: 0, chain: '' };

interface Gap {
  lost: number;
  readonly why: string;
}

type Waiting =
  | { readonly type: 'entry'; readonly entry: AuditEntry }
  | { readonly type: 'gap'; readonly gap: Gap };

/**
 * Opens or begins the log in the disk's folder. Where the disk refuses, the log says so and
 * tries again by itself; what is recorded meanwhile waits.
 */
export async function openAuditLog(
  ports: AuditPorts,
  options: AuditOptions = {},
): Promise<AuditLog> {
  const log = new DiskAuditLog(ports, options);
  await log.begin();
  return log;
}

class DiskAuditLog implements AuditLog {
  readonly #ports: AuditPorts;
  readonly #segmentBytesMax: number;
  readonly #retainBytesMax: number;
  readonly #waitingEventsMax: number;
  /** Undefined until what is on disk has been read. */
  #id: string | undefined;
  #segments: KeptSegment[] = [];
  #first: AuditPlace = nowhere;
  /** Of the newest line on disk. */
  #place: AuditPlace = nowhere;
  #anchored: AuditPlace = nowhere;
  #anchoredAtMs = 0;
  /** The newest segment, where lines may go into it; its file once it is open. */
  #current: KeptSegment | undefined;
  #file: DiskFile | undefined;
  #waiting: Waiting[] = [];
  /** How many of `waiting` are being written: they do not change any more. */
  #inFlight = 0;
  #timer: Timer | undefined;
  #isAnchorTimer = false;
  #run: Promise<void> | undefined;
  #lost = 0;
  #omitted = 0;
  #failure: string | undefined;
  #isClosed = false;

  constructor(ports: AuditPorts, options: AuditOptions) {
    this.#ports = ports;
    this.#segmentBytesMax = options.segmentBytesMax ?? segmentBytesMaxDefault;
    this.#retainBytesMax = options.retainBytesMax ?? auditRetainBytesMaxDefault;
    this.#waitingEventsMax = options.waitingEventsMax ?? waitingEventsMaxDefault;
  }

  /** Resolves after the first try to open it and to say so in it. */
  async begin(): Promise<void> {
    this.#startRun();
    await this.#run;
  }

  async #open(): Promise<void> {
    const { disk, random, clock, logger } = this.#ports;
    await disk.makeDirectory('', 0o700);
    const recovered = await recoverAudit(disk, random);
    const { anchor, segments, place, isContinued, isClosedInOrder, cutBytes, damage } = recovered;
    this.#id = anchor.id;
    this.#first = anchor.first;
    this.#segments = segments;
    this.#place = place;
    this.#anchored = anchor.head;
    this.#anchoredAtMs = clock.monotonicMs();
    this.#current = isContinued ? segments.at(-1) : undefined;
    for (const words of damage) logger.log('warn', `audit log: ${words}`, {});
    const start = startWords(place.sequence, isClosedInOrder, cutBytes);
    const marks = [
      ...damage.map((words) => this.#mark('damage', words)),
      this.#mark('start', start),
    ];
    this.#waiting.unshift(...marks.map((entry) => ({ type: 'entry' as const, entry })));
  }

  record(event: AuditEvent): void {
    if (this.#isClosed || this.#waiting.length >= this.#waitingEventsMax) {
      this.lose(1, 'more waited for the disk than is kept in memory');
      return;
    }
    this.#waiting.push({ type: 'entry', entry: event });
    this.#wake(gatherMs);
  }

  lose(count: number, why: string): void {
    if (count === 0) return;
    this.#lost += count;
    const last = this.#waiting.at(-1);
    const isOpen = this.#waiting.length > this.#inFlight;
    if (isOpen && last?.type === 'gap' && last.gap.why === why) last.gap.lost += count;
    else this.#waiting.push({ type: 'gap', gap: { lost: count, why } });
    this.#wake(gatherMs);
  }

  omit(count = 1): void {
    this.#omitted += count;
  }

  declare(why: string): void {
    if (!this.#isClosed) this.#put('gap', why);
  }

  state(): AuditState {
    return {
      sequence: this.#place.sequence,
      lost: this.#lost,
      omitted: this.#omitted,
      waiting: this.#waiting.length,
      failure: this.#failure,
    };
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#put('stop', 'the server closed the log in order');
    this.#isClosed = true;
    await this.#run;
    this.#timer?.cancel();
    await this.#writeAll();
    const left = this.#waiting.length;
    const { logger } = this.#ports;
    if (left > 0) logger.log('error', 'audit log: closed with lines unwritten', { lines: left });
    try {
      if (this.#id !== undefined) await this.#writeAnchor();
      await this.#file?.close();
    } catch (error) {
      logger.log('error', 'audit log: not closed in order', { error: errorText(error) });
    }
  }

  #put(mark: AuditMark['mark'], message: string): void {
    this.#waiting.push({ type: 'entry', entry: this.#mark(mark, message) });
    this.#wake(gatherMs);
  }

  #mark(mark: AuditMark['mark'], message: string): AuditMark {
    const timestamp = microTimestampOf(this.#ports.clock.wallMs());
    return { kind: 'Mark', apiVersion: 'audit.selvage.dev/v1', mark, timestamp, message };
  }

  /** Has the writer look again after `delayMs`, unless it is about to. */
  #wake(delayMs: number, isAnchorTimer = false): void {
    if (this.#run !== undefined || this.#isClosed) return;
    if (this.#timer !== undefined && !this.#isAnchorTimer) return;
    this.#timer?.cancel();
    this.#isAnchorTimer = isAnchorTimer;
    this.#timer = this.#ports.timers.after(delayMs, () => {
      this.#timer = undefined;
      this.#startRun();
    });
  }

  #startRun(): void {
    this.#run = this.#writeAll().finally(() => {
      this.#run = undefined;
      if (this.#failure !== undefined) this.#wake(retryMs);
      else if (this.#waiting.length > 0) this.#wake(gatherMs);
      else if (this.#place !== this.#anchored) this.#wake(this.#untilAnchorMs(), true);
    });
  }

  #untilAnchorMs(): number {
    return Math.max(0, this.#anchoredAtMs + anchorEveryMs - this.#ports.clock.monotonicMs());
  }

  /** Writes until nothing waits, or the disk refuses. Never rejects. */
  async #writeAll(): Promise<void> {
    const { logger } = this.#ports;
    try {
      if (this.#id === undefined) await this.#open();
      while (this.#waiting.length > 0) await this.#writeSome();
      if (this.#place !== this.#anchored && this.#untilAnchorMs() === 0) await this.#writeAnchor();
      if (this.#failure !== undefined) logger.log('info', 'audit log: it is written again', {});
      this.#failure = undefined;
    } catch (error) {
      this.#inFlight = 0;
      const words = errorText(error);
      if (this.#failure === undefined) {
        logger.log('error', 'audit log: it cannot be written; requests go on', { error: words });
      }
      this.#failure = words;
    }
  }

  async #writeSome(): Promise<void> {
    const { segment, file } = await this.#openSegment();
    const taken = this.#waiting.slice(0, linesPerWriteMax);
    this.#inFlight = taken.length;
    let place = this.#place;
    let text = '';
    const add = (entry: AuditEntry): void => {
      const line = lineAfter(place, entry) ?? this.#tooLong(place);
      place = { sequence: line.sequence, chain: line.chain };
      text += `${line.text}\n`;
    };
    if (segment.sizeBytes === 0) {
      add({ ...this.#mark('segment', 'a segment begins'), follows: place.chain });
    }
    for (const item of taken) add(item.type === 'entry' ? item.entry : this.#gapMark(item.gap));
    const bytes = utf8(text);
    try {
      await file.writeAt(segment.sizeBytes, [bytes]);
      await file.sync();
    } catch (error) {
      await this.#abandon(segment, file);
      throw error;
    }
    segment.sizeBytes += bytes.length;
    this.#place = place;
    this.#waiting.splice(0, taken.length);
    this.#inFlight = 0;
  }

  #gapMark({ lost, why }: Gap): AuditMark {
    return { ...this.#mark('gap', `events were not recorded: ${why}`), lostEvents: lost };
  }

  #tooLong(place: AuditPlace): ChainedLine {
    this.#lost += 1;
    const line = lineAfter(place, this.#gapMark({ lost: 1, why: 'larger than a line may be' }));
    assert(line !== undefined, 'a gap is a short line');
    return line;
  }

  /** The segment for the next lines: the newest, or a new one where that is full or not trusted. */
  async #openSegment(): Promise<{ readonly segment: KeptSegment; readonly file: DiskFile }> {
    const { disk } = this.#ports;
    const current = this.#current;
    if (current !== undefined && current.sizeBytes < this.#segmentBytesMax) {
      this.#file ??= await disk.open(current.name, 'write', 0o600);
      return { segment: current, file: this.#file };
    }
    const name = segmentName(this.#place.sequence + 1);
    // One that was begun and abandoned before a line was in it for certain.
    await disk.remove(name);
    const known = this.#segments.findIndex((segment) => segment.name === name);
    if (known !== -1) this.#segments.splice(known, 1);
    const file = await disk.open(name, 'create', 0o600);
    await disk.syncDirectory('');
    const before = this.#file;
    const segment: KeptSegment = { name, before: this.#place, sizeBytes: 0 };
    this.#segments.push(segment);
    this.#current = segment;
    this.#file = file;
    await before?.close();
    await this.#release();
    return { segment, file };
  }

  /** What its file holds behind the last whole write is unknown. */
  async #abandon(segment: KeptSegment, file: DiskFile): Promise<void> {
    this.#current = undefined;
    this.#file = undefined;
    try {
      await file.truncate(segment.sizeBytes);
      await file.close();
    } catch (error) {
      const { logger } = this.#ports;
      logger.log('debug', 'audit log: a segment was left as it is', { error: errorText(error) });
    }
  }

  /** Lets go of the oldest segments beyond what is kept. */
  async #release(): Promise<void> {
    const { disk } = this.#ports;
    let keptBytes = this.#segments.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
    for (;;) {
      const [oldest, next] = this.#segments;
      if (oldest === undefined || next === undefined || keptBytes <= this.#retainBytesMax) return;
      this.#first = next.before;
      await this.#writeAnchor();
      await disk.remove(oldest.name);
      this.#segments.shift();
      keptBytes -= oldest.sizeBytes;
    }
  }

  async #writeAnchor(): Promise<void> {
    const head = this.#place;
    const id = this.#id;
    assert(id !== undefined, 'a log is opened before it is written');
    await writeAnchor(this.#ports.disk, { id, first: this.#first, head });
    this.#anchored = head;
    this.#anchoredAtMs = this.#ports.clock.monotonicMs();
  }
}

function startWords(sequence: number, isClosedInOrder: boolean, cutBytes: number): string {
  if (sequence === 0) return 'the log begins';
  if (isClosedInOrder) return 'opened after it was closed in order';
  const cut = cutBytes === 0 ? '' : `; ${cutBytes} bytes of a torn end were cut`;
  return `opened after a crash: events of the last moments before it may be missing${cut}`;
}

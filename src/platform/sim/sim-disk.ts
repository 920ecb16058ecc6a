/**
 * A machine's disk. One queue serves one operation after the other, in virtual
 * time, and belongs to the machine: what a process had asked for when it died is
 * still carried out, and nobody hears of it.
 */
import { concatBytes } from '#base/mod.ts';
import { DiskError, type Disk, type DiskFile } from '#platform/io/mod.ts';
import { FileTree, type FileNode } from './file-tree.ts';
import type { Kernel, Lifetime } from './kernel.ts';
import type { SeededRandom } from './seeded-random.ts';
import { bytesDigest } from './trace.ts';

const defaultCapacityBytes = 64 * 1024 ** 3;

/** What a scenario may do to a disk; all can be set and reset while it runs. */
export interface DiskFaults {
  /** This many of the next file syncs fail, and leave what is durable unknown. */
  failSyncs: number;
  /** Probability that any one file sync fails. */
  syncFailureRate: number;
  capacityBytes: number;
  /** Added to every operation. */
  extraLatencyMs: number;
}

/** How often each fault really struck, for a summary. */
export interface DiskFaultCounts {
  failedSyncs: number;
  refusedWrites: number;
  lostWrites: number;
  tornWrites: number;
}

export class MachineDisk {
  readonly faults: DiskFaults = {
    failSyncs: 0,
    syncFailureRate: 0,
    capacityBytes: defaultCapacityBytes,
    extraLatencyMs: 0,
  };
  readonly counts: DiskFaultCounts = {
    failedSyncs: 0,
    refusedWrites: 0,
    lostWrites: 0,
    tornWrites: 0,
  };
  readonly tree = new FileTree();
  readonly #kernel: Kernel;
  readonly #random: SeededRandom;
  readonly #machine: () => Lifetime;
  #busyUntilMs = 0;
  #afterWrite: (() => void) | undefined;

  constructor(kernel: Kernel, random: SeededRandom, machine: () => Lifetime) {
    this.#kernel = kernel;
    this.#random = random;
    this.#machine = machine;
  }

  /** The whole disk as the Disk port of one process. */
  portFor(process: Lifetime): Disk {
    return new SimDisk(this, process, '');
  }

  /**
   * Has `run` called once, shortly after the next write that is not synced yet: the
   * moment at which losing power hurts.
   */
  afterNextWrite(run: () => void): void {
    this.#afterWrite = run;
  }

  /** Bytes were written and wait for their sync. */
  noteWrite(): void {
    const run = this.#afterWrite;
    if (run === undefined) return;
    this.#afterWrite = undefined;
    this.#kernel.schedule(this.#random.between(0, 1), this.#machine(), 'disk.after', '', run);
  }

  /** What a power cut does: unsynced writes are lost or torn, as the seed draws. */
  cutPower(): void {
    const { lostWrites, tornWrites } = this.tree.cutPower(this.#random);
    this.counts.lostWrites += lostWrites;
    this.counts.tornWrites += tornWrites;
    this.#busyUntilMs = this.#kernel.nowMs;
  }

  /** Does `work` when its turn has come, and tells `process` unless it has died. */
  submit<Result>(
    process: Lifetime,
    kind: string,
    detail: string,
    latencyMs: number,
    work: () => Result,
  ): Promise<Result> {
    return new Promise((resolve, reject) => {
      if (!process.alive) return;
      const startMs = Math.max(this.#busyUntilMs, this.#kernel.nowMs);
      this.#busyUntilMs = startMs + latencyMs + this.faults.extraLatencyMs;
      this.#kernel.scheduleAt(this.#busyUntilMs, this.#machine(), kind, detail, () => {
        let result: Result;
        try {
          result = work();
        } catch (thrown) {
          if (process.alive) this.#kernel.whenThawed(process, 'disk.told', () => reject(thrown));
          return;
        }
        if (process.alive) this.#kernel.whenThawed(process, 'disk.told', () => resolve(result));
      });
    });
  }

  readLatencyMs(): number {
    return this.#random.between(0.02, 0.12);
  }

  syncLatencyMs(): number {
    return this.#random.between(0.3, 2.5);
  }

  /** Throws where `growthBytes` more do not fit. */
  reserve(growthBytes: number): void {
    // Counting what is used walks the whole tree: only where the disk has been made small.
    if (growthBytes <= 0 || this.faults.capacityBytes >= defaultCapacityBytes) return;
    if (this.freeBytes() < growthBytes) {
      this.counts.refusedWrites += 1;
      throw new DiskError('DISK_NO_SPACE', 'no space is left on the disk', { retryable: true });
    }
  }

  freeBytes(): number {
    return Math.max(0, this.faults.capacityBytes - this.tree.usedBytes());
  }

  syncFile(node: FileNode): void {
    const fails = this.faults.failSyncs > 0 || this.#random.chance(this.faults.syncFailureRate);
    if (!fails) {
      node.sync();
      return;
    }
    if (this.faults.failSyncs > 0) this.faults.failSyncs -= 1;
    this.counts.failedSyncs += 1;
    node.failSync(this.#random);
    throw new DiskError('DISK_IO', 'the disk failed to sync (injected)');
  }
}

/** Paths of one folder that were judged already. */
const resolvedPathsMax = 1_000;

/** Refuses what leaves the root; gives the path below the machine's root. */
function resolvePath(root: string, path: string): string {
  const segments = path.split('/').filter((segment) => segment !== '' && segment !== '.');
  if (path.startsWith('/') || segments.includes('..') || path.includes('\0')) {
    throw new DiskError('DISK_PATH', `the path ${JSON.stringify(path)} leaves its folder`);
  }
  return [...(root === '' ? [] : [root]), ...segments].join('/');
}

class SimDisk implements Disk {
  readonly #machine: MachineDisk;
  readonly #process: Lifetime;
  readonly #root: string;
  readonly #resolved = new Map<string, string>();

  constructor(machine: MachineDisk, process: Lifetime, root: string) {
    this.#machine = machine;
    this.#process = process;
    this.#root = root;
  }

  #resolve(path: string): string {
    const known = this.#resolved.get(path);
    if (known !== undefined) return known;
    const whole = resolvePath(this.#root, path);
    if (this.#resolved.size === resolvedPathsMax) this.#resolved.clear();
    this.#resolved.set(path, whole);
    return whole;
  }

  async open(path: string, mode: 'read' | 'write' | 'create'): Promise<DiskFile> {
    const whole = this.#resolve(path);
    const node = await this.#do('disk.open', `${whole} ${mode}`, () => {
      const { tree } = this.#machine;
      const found = tree.find(whole);
      if (found === undefined) {
        if (mode === 'read') throw new DiskError('DISK_NOT_FOUND', `${whole} does not exist`);
        return tree.createFile(whole);
      }
      if (mode === 'create') throw new DiskError('DISK_EXISTS', `${whole} exists`);
      if (found.kind !== 'file') throw new DiskError('DISK_IO', `${whole} is a folder`);
      return found;
    });
    return new SimDiskFile(this.#machine, this.#process, node);
  }

  async readFile(path: string, maxBytes: number): Promise<Uint8Array | undefined> {
    const whole = this.#resolve(path);
    return await this.#do('disk.read', whole, () => {
      const found = this.#machine.tree.find(whole);
      if (found === undefined) return undefined;
      if (found.kind !== 'file') throw new DiskError('DISK_IO', `${whole} is a folder`);
      if (found.sizeBytes > maxBytes) {
        throw new DiskError('DISK_IO', `${whole} is larger than ${maxBytes} bytes`);
      }
      return found.read(0, found.sizeBytes);
    });
  }

  async writeFileAtomic(path: string, bytes: Uint8Array): Promise<void> {
    const whole = this.#resolve(path);
    const copy = bytes.slice();
    const detail = `${whole} ${bytesDigest(copy)}`;
    const latencyMs = this.#machine.syncLatencyMs() * 2;
    await this.#machine.submit(this.#process, 'disk.replace', detail, latencyMs, () => {
      this.#machine.reserve(copy.length);
      this.#machine.tree.replaceFile(whole, copy);
    });
  }

  async list(path: string) {
    const whole = this.#resolve(path);
    return await this.#do('disk.list', whole, () => this.#machine.tree.list(whole));
  }

  async makeDirectory(path: string): Promise<void> {
    const whole = this.#resolve(path);
    await this.#do('disk.mkdir', whole, () => this.#machine.tree.makeDirectory(whole));
  }

  async rename(from: string, to: string): Promise<void> {
    const [source, target] = [this.#resolve(from), this.#resolve(to)];
    await this.#do('disk.rename', `${source} ${target}`, () =>
      this.#machine.tree.rename(source, target),
    );
  }

  async remove(path: string): Promise<void> {
    const whole = this.#resolve(path);
    if (whole === this.#root) throw new DiskError('DISK_PATH', 'a folder cannot remove itself');
    await this.#do('disk.remove', whole, () => this.#machine.tree.remove(whole));
  }

  async syncDirectory(path: string): Promise<void> {
    const whole = this.#resolve(path);
    const latencyMs = this.#machine.syncLatencyMs();
    await this.#machine.submit(this.#process, 'disk.syncdir', whole, latencyMs, () =>
      this.#machine.tree.syncDirectory(whole),
    );
  }

  async freeBytes(): Promise<number> {
    return await this.#do('disk.free', '', () => this.#machine.freeBytes());
  }

  absolute(path: string): string {
    return `/${this.#resolve(path)}`;
  }

  within(path: string): Disk {
    return new SimDisk(this.#machine, this.#process, this.#resolve(path));
  }

  #do<Result>(kind: string, detail: string, work: () => Result): Promise<Result> {
    const latencyMs = this.#machine.readLatencyMs();
    return this.#machine.submit(this.#process, kind, detail, latencyMs, work);
  }
}

class SimDiskFile implements DiskFile {
  readonly #machine: MachineDisk;
  readonly #process: Lifetime;
  readonly #node: FileNode;
  #closed = false;

  constructor(machine: MachineDisk, process: Lifetime, node: FileNode) {
    this.#machine = machine;
    this.#process = process;
    this.#node = node;
  }

  sizeBytes(): Promise<number> {
    return this.#do('disk.size', '', () => this.#node.sizeBytes);
  }

  readAt(offset: number, lengthBytes: number): Promise<Uint8Array> {
    return this.#do('disk.readat', `${offset} ${lengthBytes}`, () =>
      this.#node.read(offset, lengthBytes),
    );
  }

  writeAt(offset: number, parts: readonly Uint8Array[]): Promise<void> {
    const bytes = concatBytes(parts);
    return this.#do('disk.writeat', `${offset} ${bytesDigest(bytes)}`, () => {
      this.#machine.reserve(offset + bytes.length - this.#node.sizeBytes);
      this.#node.write(offset, bytes);
      this.#machine.noteWrite();
    });
  }

  sync(): Promise<void> {
    return this.#do('disk.sync', '', () => this.#machine.syncFile(this.#node), true);
  }

  truncate(lengthBytes: number): Promise<void> {
    return this.#do('disk.truncate', `${lengthBytes}`, () => this.#node.truncate(lengthBytes));
  }

  async close(): Promise<void> {
    this.#closed = true;
  }

  #do<Result>(kind: string, detail: string, work: () => Result, slow = false): Promise<Result> {
    if (this.#closed) return Promise.reject(new DiskError('DISK_IO', 'the file is closed'));
    const latencyMs = slow ? this.#machine.syncLatencyMs() : this.#machine.readLatencyMs();
    return this.#machine.submit(this.#process, kind, detail, latencyMs, work);
  }
}

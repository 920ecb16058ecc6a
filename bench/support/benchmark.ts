/** What every benchmark has in common: its shape, the machine it ran on, its results file. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { cpus, loadavg, release, totalmem } from 'node:os';
import { join, relative } from 'node:path';
import type { CommandDescription, OptionTable, ValuesOf } from '../../tools/command-options.ts';

export interface Benchmark<
  Options extends OptionTable = OptionTable,
> extends CommandDescription<Options> {
  /** Runs to its end and prints its table. Throws where it could not measure. */
  run(values: ValuesOf<Options>): Promise<void>;
}

/** What was asked for is not there: told in one line, before anything has run. */
export class UnknownChoiceError extends Error {}

/** Throws UnknownChoiceError where `--only` has left nothing of `names`. */
export function requireChoice(only: string, chosen: number, names: readonly string[]): void {
  if (chosen > 0) return;
  throw new UnknownChoiceError(`--only ${only} names nothing: there is ${names.join('; ')}`);
}

export const repositoryFolder = join(import.meta.dirname, '..', '..');

/** The machine and the programs, as far as they matter to a number. */
export function environmentFacts(): Record<string, unknown> {
  const { version } = JSON.parse(readFileSync(join(repositoryFolder, 'package.json'), 'utf8')) as {
    version: string;
  };
  return {
    selvage: version,
    node: process.version,
    kernel: release(),
    cpus: cpus().length,
    cpuModel: cpus()[0]?.model ?? 'unknown',
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    loadAverageBefore: loadavg().map((value) => Number(value.toFixed(2))),
  };
}

/** Writes bench/results/NAME-DATE.json and returns its path from the repository's root. */
export function writeResults(name: string, results: unknown): string {
  const folder = join(repositoryFolder, 'bench', 'results');
  mkdirSync(folder, { recursive: true });
  const date = new Date().toISOString().slice(0, 10);
  const path = join(folder, `${name}-${date}.json`);
  writeFileSync(path, `${JSON.stringify(results, null, 1)}\n`);
  return relative(repositoryFolder, path);
}

/** Rows of text as columns: the first to the left, the rest to the right. */
export function printTable(rows: readonly (readonly string[])[]): void {
  const widths: number[] = [];
  for (const row of rows) {
    row.forEach((cell, index) => {
      widths[index] = Math.max(widths[index] ?? 0, cell.length);
    });
  }
  for (const row of rows) {
    const cells = row.map((cell, index) =>
      index === 0 ? cell.padEnd(widths[index] ?? 0) : cell.padStart(widths[index] ?? 0),
    );
    console.log(cells.join('  ').trimEnd());
  }
}

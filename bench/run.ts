/**
 * Runs one benchmark by its name: `npm run bench -- store [options]`. A benchmark is
 * a file `bench/NAME.ts` that exports `benchmark`; every other file here is a part
 * of one.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Benchmark } from './support/benchmark.ts';

const names = ['store', 'api', 'idle', 'agent', 'failover', 'sim'] as const;

async function main(): Promise<number> {
  const [name = '', ...rest] = process.argv.slice(2);
  const built = names.filter((known) => existsSync(join(import.meta.dirname, `${known}.ts`)));
  if (!built.some((known) => known === name)) {
    console.error(`usage: npm run bench -- <${built.join(' | ')}> [options]`);
    return 2;
  }
  const { benchmark } = (await import(`./${name}.ts`)) as { benchmark: Benchmark };
  await benchmark(rest);
  return 0;
}

process.exitCode = await main();

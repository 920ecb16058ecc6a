/**
 * Runs one benchmark by its name: `npm run bench -- store [options]`. A benchmark is
 * a file `bench/NAME.ts` that exports `benchmark`; every other file here is a part
 * of one.
 */
import { readCommandLine } from '../tools/command-options.ts';
import { type Benchmark, UnknownChoiceError } from './support/benchmark.ts';

const names = ['store', 'api', 'idle', 'agent', 'failover', 'sim'] as const;

async function main(): Promise<number> {
  const [name = '', ...rest] = process.argv.slice(2);
  const known = names.find((candidate) => candidate === name);
  if (name === '--help') {
    console.log(await usage());
    return 0;
  }
  if (known === undefined) {
    const there = `there is ${names.join(', ')} (npm run bench -- --help)`;
    console.error(name === '' ? `which benchmark? ${there}` : `no benchmark ${name}; ${there}`);
    return 2;
  }
  const benchmark = await benchmarkOf(known);
  const line = readCommandLine(rest, `npm run bench -- ${name}`, benchmark);
  if ('exitCode' in line) {
    if (line.exitCode === 0) console.log(line.text);
    else console.error(line.text);
    return line.exitCode;
  }
  try {
    await benchmark.run(line.values);
  } catch (error) {
    if (!(error instanceof UnknownChoiceError)) throw error;
    console.error(error.message);
    return 2;
  }
  return 0;
}

async function benchmarkOf(name: (typeof names)[number]): Promise<Benchmark> {
  const { benchmark } = (await import(`./${name}.ts`)) as { benchmark: Benchmark };
  return benchmark;
}

async function usage(): Promise<string> {
  const rows = await Promise.all(
    names.map(async (name) => `  ${name.padEnd(10)}${(await benchmarkOf(name)).summary}`),
  );
  const first = 'usage: npm run bench -- NAME [options]';
  return [first, '', ...rows, '', '`npm run bench -- NAME --help` tells its options.'].join('\n');
}

process.exitCode = await main();

/** `npm run sim` as people call it, for tests: its words, its output, its exit code. */
import { spawn } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';

const root = join(import.meta.dirname, '..', '..');

export interface SimulatorRun {
  readonly exitCode: number | null;
  readonly output: string;
}

/** With one process for each core. */
export function runSimulator(words: readonly string[]): Promise<SimulatorRun> {
  const program = join(root, 'src/apps/main/simulator.ts');
  const jobs = ['--jobs', String(availableParallelism())];
  return simulator(['--disable-warning=ExperimentalWarning', program, ...words, ...jobs]);
}

function simulator(words: readonly string[]): Promise<SimulatorRun> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, words, { cwd: root, stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    const collect = (chunk: Buffer): void => {
      output += chunk.toString('utf8');
    };
    child.stdout.on('data', collect);
    child.stderr.on('data', collect);
    child.once('error', reject);
    child.once('close', (exitCode) => resolve({ exitCode, output }));
  });
}

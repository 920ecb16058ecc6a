/**
 * The agent as a single executable: Node.js itself with the agent's bundle in a note
 * of its ELF file, where Node.js looks for a program to run.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import {
  closeSync,
  copyFileSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { build } from 'esbuild';
import { inject } from 'postject';
import { builtinsWhenUsed, type Bundle, bundleOptions } from './bundles.ts';

const file = 'selvage-agent';
/** By which Node.js knows that something was put into it. */
const fuse = 'NODE_SEA_FUSE_fce680ab2cc467b6e072b8b5df1996b2';

/** Writes `selvage-agent` into `folder`, around the Node.js that runs this. */
export async function buildExecutable(root: string, folder: string): Promise<Bundle> {
  const work = mkdtempSync(join(tmpdir(), 'selvage-build-'));
  try {
    const main = join(work, 'main.cjs');
    await build({
      ...bundleOptions,
      absWorkingDir: root,
      entryPoints: ['src/apps/main/agent-executable.ts'],
      outfile: main,
      format: 'cjs',
      plugins: [builtinsWhenUsed],
    });
    const blob = join(work, 'blob');
    const settings = {
      main,
      output: blob,
      disableExperimentalSEAWarning: true,
      execArgv: ['--disable-warning=ExperimentalWarning'],
      execArgvExtension: 'cli',
    };
    writeFileSync(join(work, 'settings.json'), JSON.stringify(settings));
    execFileSync(process.execPath, ['--experimental-sea-config', join(work, 'settings.json')], {
      stdio: ['ignore', 'ignore', 'inherit'],
    });
    const whole = join(work, file);
    copyNode(whole);
    await withoutWarnings(() =>
      inject(whole, 'NODE_SEA_BLOB', readFileSync(blob), { sentinelFuse: fuse }),
    );
    const content = readFileSync(whole);
    writeInPieces(join(folder, file), content);
    return { file, bytes: content.length };
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

/** Without the symbols of its functions, a seventh of it, where the machine has `strip`. */
function copyNode(path: string): void {
  const stripped = spawnSync('strip', ['-o', path, process.execPath], { stdio: 'ignore' });
  if (stripped.status !== 0) copyFileSync(process.execPath, path);
}

/**
 * Linux keeps what is written at once in large pages of its cache, and maps such a page
 * as a whole: the program would seem to take 20 MB more until the machine is started
 * anew.
 */
function writeInPieces(path: string, content: Uint8Array): void {
  const pieceBytes = 64 * 1024;
  const descriptor = openSync(path, 'w', 0o755);
  for (let at = 0; at < content.length; at += pieceBytes) {
    writeSync(descriptor, content.subarray(at, at + pieceBytes));
  }
  closeSync(descriptor);
}

/** What puts the note in complains of names of sections that it does not need. */
async function withoutWarnings(work: () => Promise<void>): Promise<void> {
  const { warn, error } = console;
  const isNoise = (text: unknown): boolean => /string offset for section name/.test(String(text));
  console.warn = (text: unknown) => void (isNoise(text) || warn(text));
  console.error = (text: unknown) => void (isNoise(text) || error(text));
  try {
    await work();
  } finally {
    Object.assign(console, { warn, error });
  }
}

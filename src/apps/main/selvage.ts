/**
 * The program's entry: builds the real ports once and hands them to the command
 * line. Nothing above this file knows that there is a process around it.
 */
import { readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { type CliContext, exitCodes, type Output, runCommandLine } from '#apps/cli/mod.ts';
import {
  createNodeClock,
  createNodeDisk,
  createNodeHttpClient,
  createNodeRandom,
  createNodeSpawn,
  createNodeTimers,
} from '#platform/io/node/mod.ts';

const packageFolder = join(import.meta.dirname, '..', '..', '..');
const columnsDefault = 100;
const rowsDefault = 40;

function outputOf(stream: NodeJS.WriteStream): Output {
  // A reader that has gone away (`selvage status | head`) is not an error of ours.
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(exitCodes.ok);
    throw error;
  });
  return {
    write: (text) => void stream.write(text),
    isTerminal: stream.isTTY && process.env['NO_COLOR'] === undefined,
    get columns() {
      return stream.columns ?? columnsDefault;
    },
    get rows() {
      return stream.rows ?? rowsDefault;
    },
  };
}

function productVersion(): string {
  const text = readFileSync(join(packageFolder, 'package.json'), 'utf8');
  return (JSON.parse(text) as { version: string }).version;
}

async function main(): Promise<number> {
  const spawn = createNodeSpawn();
  const version = productVersion();
  const self = await spawn.inspect(process.pid);
  const context: CliContext = {
    clock: createNodeClock(),
    timers: createNodeTimers(),
    random: createNodeRandom(),
    spawn,
    httpClient: createNodeHttpClient(),
    diskAt: (folder) => createNodeDisk(folder),
    claimFolder: async (folder, holder) =>
      await (await import('./claim-folder.ts')).claimFolder(folder, holder),
    readServerFolder: async (folder) =>
      await (
        await import('#apps/assembly/mod.ts')
      ).readServerFolder(createNodeDisk(folder), createNodeRandom()),
    standardOutput: outputOf(process.stdout),
    standardError: outputOf(process.stderr),
    environment: process.env,
    workingDirectory: process.cwd(),
    selfCommand: [
      readlinkSync('/proc/self/exe'),
      '--disable-warning=ExperimentalWarning',
      join(import.meta.dirname, 'selvage.ts'),
    ],
    packageFolder,
    productVersion: version,
    nodeVersion: process.version,
    self: { pid: process.pid, startTicks: self?.startTicks ?? 0 },
    onInterrupt(listener) {
      process.on('SIGINT', listener);
      process.on('SIGTERM', listener);
      // The terminal is gone: whoever sat there cannot press Ctrl-C any more.
      process.on('SIGHUP', () => listener('SIGTERM'));
    },
    runServer: async (options) =>
      (await import('./server-process.ts')).runServerProcess(options, version),
    runAgent: async (options) =>
      (await import('./agent-process.ts')).runAgentProcess(options, version),
  };
  return await runCommandLine(context, process.argv.slice(2));
}

process.exitCode = await main();
// Keep-alive sockets of the HTTP client would hold the process for seconds.
process.exit();

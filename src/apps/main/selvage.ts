/**
 * The program's entry: builds the real ports once and hands them to the command
 * line. Nothing above this file knows that there is a process around it.
 */
import { existsSync, readlinkSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { type CliContext, exitCodes, type Output, runCommandLine } from '#apps/cli/mod.ts';
import {
  createNodeClock,
  createNodeDisk,
  createNodeHttpClient,
  createNodeRandom,
  createNodeSpawn,
  createNodeTimers,
} from '#platform/io/node/mod.ts';
import { agentEnvironment, agentNodeFlags } from './agent-node-flags.ts';
import { productVersion } from './product.ts';

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

/** The folder that holds package.json, seen from a checkout's sources and from a bundle. */
function packageFolderOf(folder: string): string {
  const isRoot = existsSync(join(folder, 'package.json')) || dirname(folder) === folder;
  return isRoot ? folder : packageFolderOf(dirname(folder));
}

async function main(): Promise<number> {
  const spawn = createNodeSpawn();
  const node = readlinkSync('/proc/self/exe');
  const agentFile = import.meta.filename.endsWith('.ts') ? 'agent.ts' : 'agent.cjs';
  const agentCommand = [node, ...agentNodeFlags, join(import.meta.dirname, agentFile)] as const;
  const selfCommand = [
    node,
    '--disable-warning=ExperimentalWarning',
    import.meta.filename,
  ] as const;
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
    selfCommand,
    agentCommand,
    agentEnvironment,
    packageFolder: packageFolderOf(import.meta.dirname),
    productVersion,
    nodeVersion: process.version,
    self: { pid: process.pid, startTicks: self?.startTicks ?? 0 },
    onInterrupt(listener) {
      process.on('SIGINT', listener);
      process.on('SIGTERM', listener);
      // The terminal is gone: whoever sat there cannot press Ctrl-C any more.
      process.on('SIGHUP', () => listener('SIGTERM'));
    },
    runServer: async (options) =>
      (await import('./server-process.ts')).runServerProcess(options, productVersion, selfCommand),
    runApiFront: async () => (await import('./front-process.ts')).runFrontProcess(),
    becomeAgent(words) {
      process.execve?.(node, [...agentCommand, ...words], { ...process.env, ...agentEnvironment });
      throw new Error(`Node.js ${process.version} cannot replace a process; it takes 24`);
    },
  };
  return await runCommandLine(context, process.argv.slice(2));
}

process.exitCode = await main();
// Keep-alive sockets of the HTTP client would hold the process for seconds.
process.exit();

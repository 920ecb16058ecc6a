/**
 * What is done beside a workload that runs: commands in its container, and bytes for
 * its standard input.
 */
import { hash } from 'node:crypto';
import { textOf, utf8 } from '#base/mod.ts';
import {
  type Child,
  type Children,
  type Disk,
  type Logger,
  type ProcessIdentity,
  type RunningProgram,
  sleep,
  type Timers,
} from '#platform/io/mod.ts';
import { AgentError } from '../../errors.ts';
import { readOrSetAside } from '../../set-aside.ts';
import type { ExecOptions } from '../types.ts';
import { execSpec, execText, leadingFlags } from './exec.ts';
import type { Flavour } from './flavour.ts';
import type { StateFile } from './state-file.ts';
import { bundleRoot, runtimeProgram, userIdOf, workloadCommand } from './workload.ts';

/** A workload that runs now. */
export interface Present {
  /** Of its container, on the disk. */
  readonly folder: string;
  readonly state: StateFile;
  readonly workload: ProcessIdentity;
}

export interface BesideWorkloads {
  exec(present: Present, command: readonly string[], options: ExecOptions): Promise<Child>;
  attachInput(present: Present): Promise<Child>;
}

/** For the shim to become the workload, once it has said which process that will be. */
const becomePollMs = 20;
const becomePollsMax = 500;
const keptBytesMax = 256 * 1024;
const ownerOnlyFile = 0o600;
/** Workloads, which are users of their own, read it where it is shown to them. */
const readableFile = 0o644;

/** By content: shells that run read on in the text that they were started with. */
export async function keepText(
  disk: Disk,
  logger: Logger,
  name: string,
  ending: 'sh' | 'mjs',
  text: string,
): Promise<string> {
  const path = `${name}-${hash('sha256', text, 'hex').slice(0, 16)}.${ending}`;
  // A damaged one would keep everything from starting; who runs it keeps what was moved.
  const kept = await readOrSetAside(disk, path, keptBytesMax, logger, (bytes) =>
    textOf(bytes) === text ? text : undefined,
  );
  if (kept === undefined) {
    await disk.writeFileAtomic(path, utf8(text), ending === 'sh' ? ownerOnlyFile : readableFile);
  }
  return path;
}

export interface BesideDependencies {
  readonly disk: Disk;
  readonly children: Children;
  readonly timers: Timers;
  readonly logger: Logger;
}

/** `toolsText`: the program of tools.ts. */
export async function besideWorkloads(
  { disk, children, timers, logger }: BesideDependencies,
  flavours: readonly Flavour[],
  toolsText: string | undefined,
): Promise<BesideWorkloads> {
  const scriptPath = await keepText(disk, logger, 'exec', 'sh', execText);

  /**
   * Until then its process is a shell that leaves the machine's root and has no variables yet:
   * nobody runs anything beside that. Throws EXEC_NOT_RUNNING where it does not come so far.
   */
  async function environmentOf({
    state,
    workload,
  }: Present): Promise<RunningProgram['environment']> {
    for (let poll = 0; poll < becomePollsMax; poll += 1) {
      const program = await children.programOf(workload);
      if (program === undefined) break;
      if (program.path === runtimeProgram) return program.environment;
      await sleep(timers, becomePollMs);
    }
    throw notRunning(state.container);
  }

  return {
    async exec(present, command, { hasTerminal = false }) {
      const { state, workload } = present;
      const environment = await environmentOf(present);
      const runtime = state.runtime ?? 'script';
      const flavour = flavours.find(({ name }) => name === runtime);
      const place = {
        scriptPath: disk.absolute(scriptPath),
        workload,
        userId: userIdOf(state.ip),
        environment,
        workingDirectory: state.workingDirectory ?? bundleRoot,
        hasTerminal,
        programs: {
          flags: state.flags ?? leadingFlags(workloadCommand(['main.mjs']).slice(1)),
          toolsText,
          onlyToolsFor: flavour?.runsOtherPrograms === true ? undefined : runtime,
        },
      };
      return children.start(execSpec(place, command));
    },
    attachInput({ folder, state }) {
      const { input = 'empty' } = state;
      if (input === 'empty') {
        throw new AgentError(
          'EXEC_REFUSED',
          `the standard input of container ${state.container} is empty: it takes some where its manifest says stdin: true`,
        );
      }
      return children.start({
        program: '/bin/sh',
        arguments: ['-c', 'exec cat >"$1"', 'sh', disk.absolute(`${folder}/input`)],
        environment: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', LC_ALL: 'C' },
      });
    },
  };
}

export function notRunning(container: string): AgentError {
  return new AgentError('EXEC_NOT_RUNNING', `container ${container} does not run`);
}

/**
 * Running something beside a workload: in its namespaces and its control groups,
 * as its user, with its view of the file system and the same permissions.
 *
 * Invariants:
 * 1. The process that is joined is the workload: its start time is compared after
 *    its namespaces were opened, so that a pid that came again is not taken for it.
 * 2. Every privilege is given up before the first byte of the workload's
 *    environment counts for anything, as a variable may name a library to load.
 * 3. What was started dies with the one who asked for it, and with the container.
 */
import type { ChildSpec, ProcessIdentity } from '#platform/io/mod.ts';
import { AgentError } from '../../errors.ts';
import { nodeOptionsWordOf } from './launch.ts';
import { toolFlags, toolNames, toolWordsOf } from './tools.ts';
import { runtimeProgram, workloadCommand } from './workload.ts';

/** Words: pid, start time, user, folder, then the command. */
export const execText = String.raw`# Runs a command beside a workload. The agent's exec.ts says how it is used.
fail() {
  echo "exec: $1" >&2
  exit 125
}
pid=$1
ticks=$2
user=$3
folder=$4
shift 4
exec 3<"/proc/$pid/ns/mnt" 4<"/proc/$pid/ns/pid" 5<"/proc/$pid/ns/ipc" 6<"/proc/$pid/ns/uts" ||
  fail 'the container has ended'
read -r line <"/proc/$pid/stat" || fail 'the container has ended'
now=$(set -- ${'$'}{line##*) } && shift 19 && echo "$1")
[ "$now" = "$ticks" ] || fail 'the container has ended'
# Into each of its control groups that is not this process's own.
while IFS=: read -r number controllers path; do
  own=
  while IFS=: read -r ownNumber _ ownPath; do
    [ "$ownNumber" != "$number" ] || own=$ownPath
  done </proc/self/cgroup
  [ "$own" != "$path" ] || continue
  root=/sys/fs/cgroup
  [ -z "$controllers" ] || root=$root/${'$'}{controllers#name=}
  [ -n "$controllers" ] || [ ! -d "$root/unified" ] || root=$root/unified
  echo $$ >"$root$path/cgroup.procs" || fail 'cannot join the limits of the container'
done <"/proc/$pid/cgroup"
exec setpriv --pdeathsig KILL -- \
  nsenter --mount=/proc/self/fd/3 --ipc=/proc/self/fd/5 --uts=/proc/self/fd/6 --pid=/proc/self/fd/4 -- \
  /bin/setpriv --reuid "$user" --regid "$user" --clear-groups --no-new-privs --inh-caps=-all \
  --ambient-caps=-all --bounding-set=-all --pdeathsig KILL -- /bin/sh -c '
    exec 3<&- 4<&- 5<&- 6<&-
    cd "$1" || exit 125
    shift
    all=
    count=0
    while eval "[ -n \"\${EXEC_PART_$count-}\" ]"; do
      eval "all=\$all\$EXEC_PART_$count"
      unset "EXEC_PART_$count"
      count=$((count + 1))
    done
    unset PATH PWD OLDPWD SHLVL _ LC_ALL SHELL
    eval "$all"
    exec "$@"' sh "$folder" "$@"
`;

/** In characters: a variable may have 128 KiB at most, in bytes. */
const partCharactersMax = 30_000;
const commandCharactersMax = 64 * 1024;

export interface ExecPlace {
  readonly scriptPath: string;
  readonly workload: ProcessIdentity;
  readonly userId: number;
  readonly environment: Readonly<Record<string, string>>;
  readonly workingDirectory: string;
  readonly hasTerminal: boolean;
  readonly programs: ExecPrograms;
}

export interface ExecPrograms {
  /** What the workload's own runtime was started with. */
  readonly flags: readonly string[];
  /** Text of the program that stands in for `tar` and a few others; they are not there where absent. */
  readonly toolsText: string | undefined;
  /** Name of the runtime whose containers run nothing but their module and the tools. */
  readonly onlyToolsFor: string | undefined;
}

/** What programs believe of a terminal that says nothing of itself. */
const terminalKind = 'xterm';

export function execSpec(place: ExecPlace, command: readonly string[]): ChildSpec {
  const { workload, userId, workingDirectory, hasTerminal } = place;
  const variables = { ...(hasTerminal ? { TERM: terminalKind } : {}), ...place.environment };
  const exports = Object.entries(variables)
    .filter(([name]) => /^[A-Za-z_][A-Za-z0-9_]*$/.test(name) && name !== 'OPTIND')
    .map(([name, value]) => `export ${name}='${value.replaceAll("'", String.raw`'\''`)}'\n`)
    .join('');
  const environment: Record<string, string> = {
    PATH: '/usr/sbin:/usr/bin:/sbin:/bin',
    LC_ALL: 'C',
  };
  for (let part = 0; part * partCharactersMax < exports.length; part += 1) {
    const from = part * partCharactersMax;
    environment[`EXEC_PART_${part}`] = exports.slice(from, from + partCharactersMax);
  }
  const words = [workload.pid, workload.startTicks, userId].map(String);
  return {
    program: '/bin/sh',
    arguments: [
      place.scriptPath,
      ...words,
      workingDirectory,
      ...programOf(command, place.programs),
    ],
    environment,
    hasTerminal,
  };
}

/** Throws EXEC_NOT_FOUND for what an image of this runtime cannot have, EXEC_REFUSED for more than the workload may. */
export function programOf(
  command: readonly string[],
  { flags, toolsText, onlyToolsFor }: ExecPrograms,
): readonly string[] {
  const [program = '', ...rest] = command;
  if (
    command.join(' ').length > commandCharactersMax ||
    command.some((word) => word.includes('\0'))
  ) {
    throw new AgentError('EXEC_REFUSED', 'the command is too long, or has a NUL in it');
  }
  const optionsWord = nodeOptionsWordOf(command);
  if (optionsWord !== undefined) {
    throw new AgentError('EXEC_REFUSED', `no command is given the word ${optionsWord}`);
  }
  const tool = toolWordsOf(command);
  if (tool !== undefined && toolsText !== undefined) {
    return [runtimeProgram, ...toolFlags, '-e', toolsText, '--', ...tool];
  }
  if (onlyToolsFor !== undefined) {
    throw new AgentError(
      'EXEC_REFUSED',
      `containers of the ${onlyToolsFor} runtime are one program: beside it only ${toolNames.join(', ')} run in them`,
    );
  }
  if (program === 'node' || program === runtimeProgram) {
    const wider = rest.find((word) => /^--(allow-|(no-)?(experimental-)?permission)/.test(word));
    if (wider !== undefined) {
      throw new AgentError('EXEC_REFUSED', `${wider}: what a container may do is not changed here`);
    }
    return [runtimeProgram, ...flags, ...rest];
  }
  if (/\.(m|c)?[jt]s$/.test(program)) {
    const [, ...words] = workloadCommand(command);
    return [runtimeProgram, ...flags, ...words.slice(leadingFlags(words).length)];
  }
  throw new AgentError(
    'EXEC_NOT_FOUND',
    `${JSON.stringify(program)} is not there: a container of the script runtime has node, the modules of its image and ${toolNames.join(', ')}, no shell and no other programs`,
  );
}

/** The words before the first that is no option. */
export function leadingFlags(words: readonly string[]): readonly string[] {
  const end = words.findIndex((word) => !word.startsWith('--'));
  return end < 0 ? words : words.slice(0, end);
}

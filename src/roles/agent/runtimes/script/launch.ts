/**
 * The launch record: what the shim is told on its standard input. It is shell
 * text in two parts. The first is assignments for the shim; the second, behind a
 * line `--`, exports the workload's environment and becomes the workload, and is
 * read by a shell that has already given up every privilege. Every value stands
 * in single quotes, so that no byte of it is ever taken as anything but itself,
 * and none is ever a word of a command line, which everyone on the machine may
 * read. The last line says that the record is whole: its writer may have died.
 */
import { assert, strictTextOf, utf8 } from '#base/mod.ts';
import { AgentError } from '../../errors.ts';
import type { ContainerInput, ContainerMount } from '../types.ts';
import type { GroupPlan } from './control-groups.ts';

export const launchBytesMax = 512 * 1024;

export interface LaunchNames {
  /** Of the pod, for its own name. */
  readonly address: string;
  /** Empty: other names are resolved as on the machine. */
  readonly nameserver: string;
  /** Separated by blanks. */
  readonly searches: string;
}

export interface Launch {
  /** Absolute path of the JavaScript runtime's binary. */
  readonly runtime: string;
  /** Absolute path of the unpacked bundle; the workload sees it as `/app`. */
  readonly bundle: string;
  /** User and group id of the workload. */
  readonly userId: number;
  readonly hostname: string;
  /** Size limit of the workload's /tmp, which is memory. */
  readonly temporaryBytesMax: number;
  /** The workload's whole environment. */
  readonly environment: Readonly<Record<string, string>>;
  /** Program and arguments, as the workload's root has them. */
  readonly command: readonly string[];
  /** None of them inside of one that comes later. */
  readonly mounts: readonly ContainerMount[];
  /** Where the workload starts, as its root has it. */
  readonly workingDirectory: string;
  /** What the workload reads as its standard input; nothing where absent. */
  readonly input?: ContainerInput;
  /** Absent: names are resolved as on the machine. */
  readonly names?: LaunchNames;
  /** Absent: what the workload uses is not bounded. */
  readonly groups?: GroupPlan;
}

/** Can stand inside no quoted value: a quote there is written in another way. */
const endLine = "end=''";

const bundleRoot = '/app';

/** Names that the shell which sets the environment keeps for itself. */
const reservedVariables: readonly string[] = ['OPTIND'];

/**
 * The word by which a single executable would take options for its own Node.js, wherever
 * it stands and before any permission counts. To any other program it means nothing.
 */
export function nodeOptionsWordOf(words: readonly string[]): string | undefined {
  return words.find((word) => word.startsWith('--node-options'));
}

/** Names of variables are letters, digits and `_`. Throws RUNTIME_BAD_COMMAND for what cannot be handed over. */
export function encodeLaunch(launch: Launch): Uint8Array {
  const optionsWord = nodeOptionsWordOf(launch.command);
  if (optionsWord !== undefined) throw refused(`no container is given the word ${optionsWord}`);
  const exports = Object.entries(launch.environment).map(([name, value]) => {
    assert(/^[A-Za-z_][A-Za-z0-9_]*$/.test(name), `${name} is no name of a variable`);
    if (reservedVariables.includes(name)) {
      throw refused(`an environment variable cannot be called ${name} here: it is the shell's own`);
    }
    return `export ${name}=${quoted(value)}`;
  });
  const own = [
    `runtime=${quoted(launch.runtime)}`,
    `bundle=${quoted(launch.bundle)}`,
    `userId=${quoted(String(launch.userId))}`,
    `hostname=${quoted(launch.hostname)}`,
    `temporaryBytesMax=${quoted(String(launch.temporaryBytesMax))}`,
    `workingDirectory=${quoted(launch.workingDirectory)}`,
    `input=${quoted(launch.input ?? 'empty')}`,
    `address=${quoted(launch.names?.address ?? '')}`,
    `nameserver=${quoted(launch.names?.nameserver ?? '')}`,
    `searches=${quoted(launch.names?.searches ?? '')}`,
    `groups=${quoted(launch.groups?.groups.join(' ') ?? '')}`,
    `limits=${quoted(launch.groups?.isRequired === true ? 'required' : '')}`,
    `groupSteps=${quoted(launch.groups?.steps.map(quoted).join(' ') ?? '')}`,
    `imageMounts=${quoted(imageMounts(launch.mounts).join(' '))}`,
    'mountVolumes() {',
    ':',
    ...launch.mounts.map(mountLine),
    '}',
  ];
  for (const line of own) {
    if (line.includes('\n')) throw refused('what is mounted where cannot hold a line feed');
  }
  const lines = [...own, '--', ...exports, `exec ${launch.command.map(quoted).join(' ')}`, endLine];
  const bytes = utf8(`${lines.join('\n')}\n`);
  if (bytes.length > launchBytesMax) {
    throw refused(`environment and command have more than ${launchBytesMax} bytes`);
  }
  return bytes;
}

/** Where in the image something is mounted, counted from its root; a trailing / where it is a folder. */
function imageMounts(mounts: readonly ContainerMount[]): readonly string[] {
  return mounts.flatMap(({ path, isFile }) =>
    path.startsWith(`${bundleRoot}/`)
      ? [quoted(`${path.slice(bundleRoot.length + 1)}${isFile === true ? '' : '/'}`)]
      : [],
  );
}

/** `volume MODE KIND SOURCE PATH [NAME…]`: the names are those below the source. */
function mountLine(mount: ContainerMount): string {
  const { source, path, isReadOnly, below = [], isFile = false } = mount;
  for (const absolute of [source, path]) assert(absolute.startsWith('/'), 'mounts are absolute');
  const parts = [...path.slice(1).split('/'), ...below];
  assert(
    parts.every((part) => !['', '.', '..'].includes(part) && !/[/\0]/.test(part)),
    'every part of a mount is a name',
  );
  const words = [isReadOnly ? 'ro' : 'rw', isFile ? 'file' : 'folder', source, path, ...below];
  return `volume ${words.map(quoted).join(' ')}`;
}

/** The inverse, for the simulated shim. Throws AssertionFailure on anything else. */
export function decodeLaunch(bytes: Uint8Array): Launch {
  const text = strictTextOf(bytes);
  const fields = new Map<string, string>();
  const environment: Record<string, string> = {};
  let command: string[] = [];
  const mounts: ContainerMount[] = [];
  const line =
    /(?:([A-Za-z]+)=|--|mountVolumes\(\) \{|:|\}|export ([A-Za-z0-9_]+)=|(exec|volume) )((?:'[^']*'|\\'| )*)\n/gy;
  let end = 0;
  for (const match of text.matchAll(line)) {
    const [, field, variable, verb, quotedWords = ''] = match;
    const values = [...quotedWords.matchAll(/(?:'[^']*'|\\')+/g)].map(([word]) => unquoted(word));
    if (field !== undefined) fields.set(field, values[0] ?? '');
    if (variable !== undefined) environment[variable] = values[0] ?? '';
    if (verb === 'exec') command = values;
    if (verb === 'volume') mounts.push(mountOfWords(values));
    end = match.index + match[0].length;
  }
  assert(end === text.length && text.endsWith(`\n${endLine}\n`), 'the launch record is whole');
  assert(command.length > 0, 'a launch record names a program');
  const address = fields.get('address') ?? '';
  return {
    runtime: fields.get('runtime') ?? '',
    bundle: fields.get('bundle') ?? '',
    userId: Number(fields.get('userId')),
    hostname: fields.get('hostname') ?? '',
    temporaryBytesMax: Number(fields.get('temporaryBytesMax')),
    environment,
    command,
    mounts,
    workingDirectory: fields.get('workingDirectory') ?? '',
    input: (fields.get('input') ?? 'empty') as ContainerInput,
    ...(address === ''
      ? {}
      : {
          names: {
            address,
            nameserver: fields.get('nameserver') ?? '',
            searches: fields.get('searches') ?? '',
          },
        }),
  };
}

function mountOfWords([
  mode,
  kind,
  source = '',
  path = '',
  ...below
]: readonly string[]): ContainerMount {
  return { source, path, isReadOnly: mode === 'ro', isFile: kind === 'file', below };
}

function refused(message: string): AgentError {
  return new AgentError('RUNTIME_BAD_COMMAND', message);
}

function quoted(value: string): string {
  if (value.includes('\0')) throw refused('environment and command cannot hold a NUL');
  return `'${value.replaceAll("'", String.raw`'\''`)}'`;
}

function unquoted(word: string): string {
  return word.replaceAll(/'([^']*)'|\\'/g, (_, inner: string | undefined) => inner ?? "'");
}

/**
 * The options of `selvage agent`, in one table: the command line shows and parses
 * them with its own library, the agent's own program without it, as an agent carries
 * nothing that it needs only once.
 */
import type { Address } from '#platform/io/mod.ts';
import { type AgentProcessOptions, CommandFailure, exitCodes } from './context.ts';
import { resolvePath } from './paths.ts';

interface AgentOption {
  /** Without the dashes. */
  readonly name: string;
  /** What stands for its value in a help text. */
  readonly value: string;
  readonly description: string;
  readonly isRequired: boolean;
  /** As one would type it. */
  readonly fallback?: string;
}

export const agentOptions: readonly AgentOption[] = [
  { name: 'state', value: '<folder>', description: 'folder of the agent', isRequired: true },
  { name: 'name', value: '<node>', description: 'name of the node', isRequired: true },
  {
    name: 'join-file',
    value: '<file>',
    description: 'how to join, read only while the agent has no certificate',
    isRequired: false,
  },
  {
    name: 'heartbeat',
    value: '<duration>',
    description: 'how often a node says that it is there, 200ms to 60s',
    isRequired: false,
    fallback: '2s',
  },
  {
    name: 'allow-host-path',
    value: '<paths>',
    description: "folders of this machine that pods may mount by hostPath, separated by ','",
    isRequired: false,
  },
  {
    name: 'address',
    value: '<ip>',
    description: 'by which others reach this machine, for node ports; found out where not given',
    isRequired: false,
  },
  {
    name: 'machine',
    value: '<own|shared>',
    description: 'shared: other nodes run on this machine too, with the same loopback addresses',
    isRequired: false,
    fallback: 'own',
  },
  {
    name: 'runtimes',
    value: '<names>',
    description: "what runs pods here, best first, separated by ',' (default: script,wasm)",
    isRequired: false,
  },
  {
    name: 'metrics',
    value: '<host:port>',
    description: 'serve /metrics and /healthz there, to administrators and viewers of the fleet',
    isRequired: false,
  },
];

/** What `--allow-host-path` says. Throws CommandFailure for what is no list of absolute paths. */
export function hostPathsOf(text: string): readonly string[] {
  const paths = text.split(',').map((path) => path.replaceAll(/(?<!^)\/+$/g, ''));
  for (const path of paths) {
    const isClean = /^\/(?:[^/]+(?:\/[^/]+)*)?$/.test(path) && !/(?:^|\/)\.\.?(?:\/|$)/.test(path);
    if (isClean && path !== '/') continue;
    throw new CommandFailure(
      `--allow-host-path takes absolute paths of folders, separated by ',' (such as /srv/data), not '${path}'.`,
      exitCodes.usage,
    );
  }
  return paths;
}

const runtimeNames: readonly string[] = ['script', 'wasm'];

/** What `--runtimes` says. Throws CommandFailure for what is no list of runtimes. */
function runtimesOf(text: string): readonly string[] {
  const names = text.split(',');
  const isList =
    new Set(names).size === names.length && names.every((name) => runtimeNames.includes(name));
  if (isList) return names;
  throw new CommandFailure(
    `--runtimes takes some of ${runtimeNames.join(', ')}, each once, not '${text}'.`,
    exitCodes.usage,
  );
}

/** `HOST:PORT`. Throws CommandFailure for what is no such address. */
export function addressOf(text: string): Address {
  const colon = text.lastIndexOf(':');
  const host = text.slice(0, Math.max(0, colon)).replaceAll(/^\[|\]$/g, '');
  const digits = text.slice(colon + 1);
  const port = /^[0-9]{1,5}$/.test(digits) ? Number(digits) : 0;
  if (host === '' || port < 1 || port > portMax) {
    throw new CommandFailure(
      `--metrics takes HOST:PORT, e.g. 127.0.0.1:9464, not '${text}'.`,
      exitCodes.usage,
    );
  }
  return { host, port };
}

/** Throws CommandFailure for what is no IPv4 address. */
function machineAddressOf(text: string | undefined): string | undefined {
  const isAddress = (text ?? '0.0.0.0')
    .split('.')
    .every((part, _index, all) => all.length === 4 && /^\d{1,3}$/.test(part) && Number(part) < 256);
  if (isAddress) return text;
  throw new CommandFailure(
    `--address takes an IPv4 address of this machine, e.g. 192.0.2.20, not '${text}'.`,
    exitCodes.usage,
  );
}

/** Throws CommandFailure for another word than `own` and `shared`. */
function sharesMachineOf(text: string): boolean {
  if (text === 'own' || text === 'shared') return text === 'shared';
  throw new CommandFailure(`--machine takes own or shared, not '${text}'.`, exitCodes.usage);
}

const portMax = 65_535;
const heartbeatMinMs = 200;
const heartbeatMaxMs = 60_000;

/** Milliseconds. Throws CommandFailure for what is no such duration. */
export function heartbeatOf(text: string): number {
  const match = /^([0-9]+(?:\.[0-9]+)?)(ms|s)$/.exec(text);
  const value = match === null ? Number.NaN : Number(match[1]) * (match[2] === 's' ? 1_000 : 1);
  if (!(value >= heartbeatMinMs && value <= heartbeatMaxMs)) {
    throw new CommandFailure(
      `--heartbeat takes a duration from 200ms to 60s, e.g. 2s or 500ms, not '${text}'.`,
      exitCodes.usage,
    );
  }
  return Math.round(value);
}

/** `values` by the options' names. Throws CommandFailure for what is missing or wrong. */
export function agentProcessOptionsOf(
  values: Readonly<Record<string, string | undefined>>,
  workingDirectory: string,
): AgentProcessOptions {
  const path = (text: string): string => resolvePath(workingDirectory, text);
  const given = (name: string): string => {
    const value = values[name];
    if (value === undefined) {
      throw new CommandFailure(`the agent needs --${name} (add --help).`, exitCodes.usage);
    }
    return value;
  };
  const joinFile = values['join-file'];
  const hostPaths = values['allow-host-path'];
  const metrics = values['metrics'];
  const runtimes = values['runtimes'];
  return {
    stateFolder: path(given('state')),
    nodeName: given('name'),
    joinFile: joinFile === undefined ? undefined : path(joinFile),
    heartbeatIntervalMs: heartbeatOf(given('heartbeat')),
    machineAddress: machineAddressOf(values['address']),
    sharesMachine: sharesMachineOf(given('machine')),
    hostPathPrefixes: hostPaths === undefined ? [] : hostPathsOf(hostPaths),
    runtimes: runtimes === undefined ? runtimeNames : runtimesOf(runtimes),
    metricsAddress: metrics === undefined ? undefined : addressOf(metrics),
  };
}

/** What `--help` of the agent's own program prints. */
export function agentHelp(): string {
  const rows = agentOptions.map(({ name, value, description, isRequired, fallback }) => {
    const more = isRequired
      ? ' (required)'
      : fallback === undefined
        ? ''
        : ` (default: ${fallback})`;
    return `  ${`--${name} ${value}`.padEnd(26)}${description}${more}`;
  });
  return [
    'Usage: selvage agent [options]',
    '',
    'run the agent of one node',
    '',
    'Options:',
    ...rows,
    `  ${'-V, --version'.padEnd(26)}print the version`,
    `  ${'-h, --help'.padEnd(26)}display help for command`,
    '',
  ].join('\n');
}

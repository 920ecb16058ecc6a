/**
 * A fleet on one machine, as `selvage up` lays it out in its state folder:
 *
 *   fleet.json        who belongs to it and on which ports (this file's FleetFile)
 *   kubeconfig        the operator's access
 *   server/           state of the server
 *   nodes/NAME/       state of an agent, with pods/UID/CONTAINER/state.json
 *   run/NAME.json     the process that plays a role now or played it last
 *   logs/NAME.log     what that process printed
 *
 * Invariant: a pid is acted on only together with the start time noted beside
 * it, so that a pid which the kernel has given to somebody else is left alone.
 */
import { assert, textOf, utf8 } from '#base/mod.ts';
import type { Disk, ProcessIdentity, ProcessSpec } from '#platform/io/mod.ts';
import { type CliContext, CommandFailure } from './context.ts';
import { resolvePath } from './paths.ts';

export interface FleetNode {
  readonly name: string;
  readonly region: string;
  readonly site: string;
}

export interface FleetFile {
  readonly formatVersion: 1;
  readonly apiPort: number;
  readonly linkPort: number;
  readonly podNetwork: string;
  readonly heartbeatIntervalMs: number;
  /** Absent: the server's default. */
  readonly nodeCertificateLifeMs?: number;
  /** Processes that listen for the API. */
  readonly apiFronts?: number;
  /** Below these, pods may be shown this machine's own files; none where absent. */
  readonly hostPathPrefixes?: readonly string[];
  readonly nodes: readonly FleetNode[];
}

const fileBytesMax = 4 * 1024 * 1024;
export const fleetNodesMax = 200;

const sites = [
  { region: 'north', site: 'harbour' },
  { region: 'north', site: 'mill' },
  { region: 'south', site: 'depot' },
] as const;

/** The regions and sites of a fleet of this machine. */
export const fleetSites: readonly { readonly region: string; readonly site: string }[] = sites;

/** The first `count` nodes of a fleet: round the sites, numbered at each. */
export function fleetNodes(count: number): FleetNode[] {
  return Array.from({ length: count }, (_, index) => {
    const place = sites[index % sites.length] ?? sites[0];
    const number = Math.floor(index / sites.length) + 1;
    return { name: `${place.site}-${number}`, region: place.region, site: place.site };
  });
}

/** Name of the process in run/ and logs/: `server` or `agent-NODE`. */
export type ProcessName = 'server' | 'up' | `agent-${string}`;

export interface RunFile extends ProcessIdentity {
  readonly name: ProcessName;
  readonly startedAt: string;
}

/** What an agent notes of each container it runs; written by the script runtime. */
export interface ContainerStateFile {
  readonly podNamespace: string;
  readonly podName: string;
  readonly podUid: string;
  readonly container: string;
  readonly pid: number;
  readonly startTicks: number;
  readonly startedAtMs: number;
  readonly ip?: string;
}

/** Opens the fleet of a state folder. Throws CommandFailure where there is none. */
export async function openFleet(context: CliContext, stateFolder: string): Promise<Fleet> {
  const disk = context.diskAt(stateFolder);
  const file = await readJson<FleetFile>(disk, 'fleet.json');
  if (file === undefined) {
    throw new CommandFailure(
      `there is no fleet in ${stateFolder}. Start one with 'selvage up --state ${stateFolder}', or name its folder with --state.`,
    );
  }
  if (file.formatVersion !== 1) {
    throw new CommandFailure(
      `${stateFolder}/fleet.json has format ${String(file.formatVersion)}; this version reads format 1.`,
    );
  }
  return new Fleet(context, stateFolder, file);
}

export async function fleetExists(context: CliContext, stateFolder: string): Promise<boolean> {
  return (await readJson<FleetFile>(context.diskAt(stateFolder), 'fleet.json')) !== undefined;
}

export async function createFleet(
  context: CliContext,
  stateFolder: string,
  file: FleetFile,
): Promise<Fleet> {
  const disk = context.diskAt(stateFolder);
  for (const folder of ['', 'run', 'logs', 'server', 'nodes']) await disk.makeDirectory(folder);
  await disk.writeFileAtomic('fleet.json', utf8(`${JSON.stringify(file, undefined, 2)}\n`));
  return new Fleet(context, stateFolder, file);
}

export class Fleet {
  readonly stateFolder: string;
  readonly file: FleetFile;
  readonly disk: Disk;
  private readonly context: CliContext;

  constructor(context: CliContext, stateFolder: string, file: FleetFile) {
    this.context = context;
    this.stateFolder = stateFolder;
    this.file = file;
    this.disk = context.diskAt(stateFolder);
  }

  path(inside: string): string {
    return resolvePath(this.stateFolder, inside);
  }

  node(name: string): FleetNode {
    const node = this.file.nodes.find((candidate) => candidate.name === name);
    if (node === undefined) {
      const known = this.file.nodes.map((candidate) => candidate.name).join(', ');
      throw new CommandFailure(`this fleet has no node '${name}'. Its nodes: ${known}.`);
    }
    return node;
  }

  /** The process that plays this role now; undefined when it does not run. */
  async running(name: ProcessName): Promise<RunFile | undefined> {
    const file = await readJson<RunFile>(this.disk, `run/${name}.json`);
    if (file === undefined) return undefined;
    return (await this.isAlive(file)) ? file : undefined;
  }

  async isAlive(identity: ProcessIdentity): Promise<boolean> {
    const entry = await this.context.spawn.inspect(identity.pid);
    return entry !== undefined && entry.startTicks === identity.startTicks && !entry.isZombie;
  }

  /** Starts the process of a role and notes it. The caller has checked that none runs. */
  async start(name: 'server' | `agent-${string}`): Promise<RunFile> {
    const [program, ...words] =
      name === 'server'
        ? [...this.context.selfCommand, ...this.serverArguments()]
        : [...this.context.agentCommand, ...this.agentArguments(name.slice('agent-'.length))];
    assert(program !== undefined, 'a command names a program');
    const logPath = this.path(`logs/${name}.log`);
    const spec: ProcessSpec = {
      program,
      arguments: words,
      environment: {
        PATH: this.context.environment['PATH'] ?? '/usr/sbin:/usr/bin:/sbin:/bin',
        LANG: 'C.UTF-8',
        ...(name === 'server' ? {} : this.context.agentEnvironment),
      },
      workingDirectory: this.stateFolder,
      stdoutPath: logPath,
      stderrPath: logPath,
    };
    const handle = await this.context.spawn.start(spec);
    return await this.noteRunning(name, handle);
  }

  async noteRunning(name: ProcessName, identity: ProcessIdentity): Promise<RunFile> {
    const run: RunFile = {
      name,
      pid: identity.pid,
      startTicks: identity.startTicks,
      startedAt: startedAtText(this.context.clock.wallMs()),
    };
    await this.disk.writeFileAtomic(`run/${name}.json`, utf8(`${JSON.stringify(run)}\n`));
    return run;
  }

  /** The last lines that a role printed, for a message about its failure. */
  async logTail(name: ProcessName, linesMax: number): Promise<string> {
    const bytes = await this.disk.readFile(`logs/${name}.log`, 64 * fileBytesMax);
    if (bytes === undefined) return '';
    return textOf(bytes).trimEnd().split('\n').slice(-linesMax).join('\n');
  }

  /** Every container that an agent of this fleet says it runs, alive or not. */
  async containers(nodeName: string): Promise<ContainerStateFile[]> {
    const found: ContainerStateFile[] = [];
    const pods = `nodes/${nodeName}/pods`;
    for (const pod of await this.disk.list(pods)) {
      if (pod.kind !== 'directory') continue;
      for (const container of await this.disk.list(`${pods}/${pod.name}`)) {
        if (container.kind !== 'directory') continue;
        const path = `${pods}/${pod.name}/${container.name}/state.json`;
        const state = await readJson<ContainerStateFile>(this.disk, path);
        if (state !== undefined) found.push(state);
      }
    }
    return found;
  }

  private serverArguments(): string[] {
    const { apiPort, linkPort, podNetwork, heartbeatIntervalMs, nodeCertificateLifeMs, apiFronts } =
      this.file;
    return [
      'server',
      ...['--state', this.path('server')],
      ...['--api', `127.0.0.1:${apiPort}`],
      ...['--link', `127.0.0.1:${linkPort}`],
      ...['--pod-network', podNetwork],
      ...['--heartbeat', `${heartbeatIntervalMs}ms`],
      ...(nodeCertificateLifeMs === undefined
        ? []
        : ['--node-certificate-life', `${nodeCertificateLifeMs}ms`]),
      ...(apiFronts === undefined ? [] : ['--api-fronts', String(apiFronts)]),
    ];
  }

  private agentArguments(nodeName: string): string[] {
    this.node(nodeName);
    const { hostPathPrefixes = [] } = this.file;
    return [
      ...['--name', nodeName],
      ...['--state', this.path(`nodes/${nodeName}`)],
      ...['--join-file', this.path(`nodes/${nodeName}/join.json`)],
      ...['--machine', 'shared'],
      ...['--heartbeat', `${this.file.heartbeatIntervalMs}ms`],
      ...(hostPathPrefixes.length === 0 ? [] : ['--allow-host-path', hostPathPrefixes.join(',')]),
    ];
  }
}

async function readJson<T>(disk: Disk, path: string): Promise<T | undefined> {
  const bytes = await disk.readFile(path, fileBytesMax);
  if (bytes === undefined) return undefined;
  try {
    return JSON.parse(textOf(bytes)) as T;
  } catch (error) {
    throw new CommandFailure(
      `${disk.absolute(path)} is not valid JSON (${error instanceof Error ? error.message : ''}). It is written whole or not at all, so something else has changed it; restore it or start over with 'selvage up --fresh'.`,
    );
  }
}

function startedAtText(wallMs: number): string {
  return new Date(wallMs).toISOString();
}

/**
 * `selvage up`: a whole fleet on this machine, in the foreground: one server and
 * N agents in two regions and three sites, each a process with its own state
 * folder and certificate.
 *
 * 1. It stops everything it started, pods included, and nothing else.
 * 2. It restarts nothing by itself: what dies stays dead until `selvage lab start`.
 * 3. Started again on the same state folder it continues the same fleet.
 */
import { sleep } from '#platform/io/mod.ts';
import { SelvageError, textOf, utf8 } from '#base/mod.ts';
import { type ApiAccess, requestApi } from './api-access.ts';
import {
  type CliContext,
  CommandFailure,
  type ExitCode,
  exitCodes,
  type JoinFile,
} from './context.ts';
import {
  createFleet,
  type Fleet,
  type FleetFile,
  fleetExists,
  fleetNodes,
  fleetNodesMax,
  fleetSites,
  openFleet,
} from './fleet.ts';
import { buildImage, pushImage } from './image.ts';
import { aliveContainers, stopProcess } from './lab.ts';
import { coloured } from './output.ts';
import { displayPath, resolvePath, selvageWords, splitPath } from './paths.ts';
import { killTrees, waitForEnd } from './processes.ts';
import { showCount } from './progress.ts';
import { readyNodesHeard } from './ready-nodes.ts';
import { waitForServer } from './server-ready.ts';
import { settledHistory, type SettledHistory } from './settled-history.ts';
import { watchSummary } from './summary.ts';

export interface UpOptions {
  readonly stateFolder: string;
  readonly fresh: boolean;
  /** Undefined: as many as the fleet has, 4 for a new one. */
  readonly nodes: number | undefined;
  /** Fixed when a fleet is made; undefined: what it has, or the default. */
  readonly apiPort: number | undefined;
  readonly linkPort: number | undefined;
  readonly podNetwork: string | undefined;
  readonly heartbeatIntervalMs: number;
  /** Undefined: as the fleet has it, the server's own default for a new one. */
  readonly nodeCertificateLifeMs: number | undefined;
  readonly apiFronts: number | undefined;
  /** Undefined: as the fleet has it, none for a new one. */
  readonly hostPathPrefixes: readonly string[] | undefined;
}

const nodesDefault = 4;
const apiPortDefault = 7443;
const linkPortDefault = 7444;
const podNetworkDefault = '127.1';
const nodesReadyTimeoutMs = 60_000;
const pollMs = 100;
const certificateBytesMax = 1024 * 1024;
const joinTokenLifetimeSeconds = 600;

/** Thrown inside the start-up when the operator has asked to stop. */
class Interrupted extends Error {}

export async function up(context: CliContext, options: UpOptions): Promise<ExitCode> {
  let stopping = false;
  let wake = (): void => {};
  const interrupted = new Promise<void>((resolve) => {
    wake = resolve;
  });
  context.onInterrupt(() => {
    stopping = true;
    wake();
  });
  const checkpoint = (): void => {
    if (stopping) throw new Interrupted();
  };

  const fleet = await prepareFleet(context, options);
  try {
    const { access, history } = await startUp(context, fleet, checkpoint);
    sayReady(context, fleet);
    const summary = watchSummary(context, fleet, access);
    const watch = history.watch();
    await interrupted;
    watch.close();
    summary.close();
    await stopFleet(context, fleet);
    return exitCodes.ok;
  } catch (error) {
    await stopFleet(context, fleet);
    if (error instanceof Interrupted) return exitCodes.ok;
    throw error;
  }
}

/** Opens or lays out the state folder and takes it for this process alone. */
async function prepareFleet(context: CliContext, options: UpOptions): Promise<Fleet> {
  const { stateFolder } = options;
  if (options.nodes !== undefined && (options.nodes < 1 || options.nodes > fleetNodesMax)) {
    throw new CommandFailure(`--nodes takes 1 to ${fleetNodesMax}.`, exitCodes.usage);
  }
  if (await fleetExists(context, stateFolder)) {
    const fleet = await openFleet(context, stateFolder);
    const other = await fleet.running('up');
    if (other !== undefined) {
      throw new CommandFailure(
        `this fleet is up already (pid ${other.pid}, state ${stateFolder}). Stop that one with Ctrl-C first, or use another folder with --state.`,
      );
    }
    if (!options.fresh) requireSameShape(fleet.file, options);
    await stopFleet(context, fleet, { quiet: true });
    if (options.fresh) await removeFleet(context, stateFolder);
  } else if (options.fresh && (await context.diskAt(stateFolder).list('')).length > 0) {
    throw new CommandFailure(
      `${stateFolder} is not empty and holds no fleet, so --fresh does not empty it. Name another folder with --state.`,
    );
  }
  const existing = (await fleetExists(context, stateFolder))
    ? await openFleet(context, stateFolder)
    : undefined;
  const count = options.nodes ?? existing?.file.nodes.length ?? nodesDefault;
  const apiFronts = options.apiFronts ?? existing?.file.apiFronts;
  const nodeCertificateLifeMs =
    options.nodeCertificateLifeMs ?? existing?.file.nodeCertificateLifeMs;
  const hostPathPrefixes = options.hostPathPrefixes ?? existing?.file.hostPathPrefixes;
  const fleet = await createFleet(context, stateFolder, {
    formatVersion: 1,
    apiPort: existing?.file.apiPort ?? options.apiPort ?? apiPortDefault,
    linkPort: existing?.file.linkPort ?? options.linkPort ?? linkPortDefault,
    podNetwork: existing?.file.podNetwork ?? options.podNetwork ?? podNetworkDefault,
    heartbeatIntervalMs: options.heartbeatIntervalMs,
    ...(nodeCertificateLifeMs === undefined ? {} : { nodeCertificateLifeMs }),
    ...(apiFronts === undefined ? {} : { apiFronts }),
    ...(hostPathPrefixes === undefined ? {} : { hostPathPrefixes }),
    nodes: fleetNodes(count),
  });
  await fleet.noteRunning('up', context.self);
  return fleet;
}

/** What a fleet was made with cannot be changed under it. Throws CommandFailure. */
function requireSameShape(file: FleetFile, options: UpOptions): void {
  const fixed = [
    ['--api-port', options.apiPort, file.apiPort],
    ['--link-port', options.linkPort, file.linkPort],
    ['--pod-network', options.podNetwork, file.podNetwork],
  ] as const;
  for (const [option, asked, has] of fixed) {
    if (asked === undefined || asked === has) continue;
    throw new CommandFailure(
      `this fleet was made with ${option} ${has}; another one needs a new fleet: add --fresh.`,
      exitCodes.usage,
    );
  }
  if (options.nodes !== undefined && options.nodes < file.nodes.length) {
    throw new CommandFailure(
      `this fleet has ${counted(file.nodes.length, 'node')}; taking nodes away needs a new fleet: add --fresh.`,
      exitCodes.usage,
    );
  }
}

async function removeFleet(context: CliContext, stateFolder: string): Promise<void> {
  const { folder, name } = splitPath(stateFolder);
  await context.diskAt(folder).remove(name);
}

async function startUp(
  context: CliContext,
  fleet: Fleet,
  checkpoint: () => void,
): Promise<{ readonly access: ApiAccess; readonly history: SettledHistory }> {
  const { apiPort } = fleet.file;
  checkpoint();
  say(context, `starting the server on https://127.0.0.1:${apiPort}`);
  await fleet.start('server');
  const { access } = await waitForServer(context, fleet, checkpoint);

  const history = settledHistory({
    access,
    timers: context.timers,
    checkpoint,
    say: (text) => say(context, text),
    program: selvageWords(context),
    kubeconfigPath: displayPath(context.workingDirectory, fleet.path('kubeconfig')),
  });
  // Nodes that were of this fleet go on whatever the server waits for: they hold what it may lack.
  if (await history.isAwaited()) await startAgents(context, fleet, undefined, checkpoint);
  await history.whenSettled(() => createPlaces(access));
  await history.whenSettled(() => startAgents(context, fleet, access, checkpoint));

  checkpoint();
  const imageFolder = resolvePath(context.packageFolder, 'examples/edge-microservice');
  const image = await buildImage(context, imageFolder);
  const sentBytes = await history.whenSettled(() => pushImage(access, image));
  say(
    context,
    sentBytes === 0
      ? `image ${image.name} is in the registry`
      : `built and pushed the image ${image.name} (${sentBytes} bytes)`,
  );

  await waitForNodes(context, fleet, access, checkpoint);
  await history.whenSettled(async () => {});
  return { access, history };
}

async function createPlaces(access: ApiAccess): Promise<void> {
  for (const region of new Set(fleetSites.map((place) => place.region))) {
    await createOnce(access, 'regions', { kind: 'Region', name: region, spec: {} });
  }
  for (const { region, site } of fleetSites) {
    await createOnce(access, 'sites', { kind: 'Site', name: site, spec: { region } });
  }
}

/** Starts the agents that do not run; without `access` only those that have joined. */
async function startAgents(
  context: CliContext,
  fleet: Fleet,
  access: ApiAccess | undefined,
  checkpoint: () => void,
): Promise<void> {
  const waiting = [];
  for (const node of fleet.file.nodes) {
    if ((await fleet.running(`agent-${node.name}`)) !== undefined) continue;
    const path = `nodes/${node.name}/identity/certificate.pem`;
    const hasJoined = (await fleet.disk.readFile(path, certificateBytesMax)) !== undefined;
    if (hasJoined || access !== undefined) waiting.push({ node, hasJoined });
  }
  if (waiting.length === 0) return;
  const sites = new Set(waiting.map(({ node }) => node.site)).size;
  say(context, `starting ${counted(waiting.length, 'agent')} in ${counted(sites, 'site')}`);
  for (const { node, hasJoined } of waiting) {
    checkpoint();
    await fleet.disk.makeDirectory(`nodes/${node.name}`);
    if (!hasJoined && access !== undefined) {
      await writeJoinFile(fleet, access, node.name, node.site);
    }
    await fleet.start(`agent-${node.name}`);
  }
}

async function createOnce(
  access: ApiAccess,
  plural: 'regions' | 'sites',
  object: { readonly kind: string; readonly name: string; readonly spec: Record<string, string> },
): Promise<void> {
  const body = {
    apiVersion: 'selvage.dev/v1',
    kind: object.kind,
    metadata: { name: object.name },
    spec: object.spec,
  };
  const answer = await requestApi(access, 'POST', `/apis/selvage.dev/v1/${plural}`, {
    contentType: 'application/json',
    bytes: utf8(JSON.stringify(body)),
  });
  if (answer.status !== 201 && answer.status !== 409) {
    throw new CommandFailure(
      `the server refused ${object.kind} ${object.name}: ${textOf(answer.bytes)}`,
    );
  }
}

async function writeJoinFile(
  fleet: Fleet,
  access: ApiAccess,
  nodeName: string,
  site: string,
): Promise<void> {
  const answer = await requestApi(access, 'POST', '/apis/selvage.dev/v1/jointokens', {
    contentType: 'application/json',
    bytes: utf8(JSON.stringify({ site, expiresInSeconds: joinTokenLifetimeSeconds })),
  });
  if (answer.status !== 201) {
    throw new CommandFailure(`the server gave no join token: ${textOf(answer.bytes)}`);
  }
  const { token } = JSON.parse(textOf(answer.bytes)) as { token: string };
  const join: JoinFile = { server: access.address, caPem: access.tls.trustPem, token };
  await fleet.disk.writeFileAtomic(`nodes/${nodeName}/join.json`, utf8(JSON.stringify(join)));
}

async function waitForNodes(
  context: CliContext,
  fleet: Fleet,
  access: ApiAccess,
  checkpoint: () => void,
): Promise<void> {
  const wanted = fleet.file.nodes.length;
  let readyBefore = -1;
  for (let waitedMs = 0; waitedMs < nodesReadyTimeoutMs; waitedMs += pollMs) {
    checkpoint();
    const ready = await readyNodesHeard(access).catch((error: unknown) => {
      if (error instanceof SelvageError && error.retryable) return new Set<string>();
      throw error;
    });
    const count = fleet.file.nodes.filter((node) => ready.has(node.name)).length;
    if (count !== readyBefore) {
      showCount(context, count, wanted, 'nodes ready');
      readyBefore = count;
    }
    if (count === wanted) {
      // Used, and of no use to anybody else.
      for (const node of fleet.file.nodes) await fleet.disk.remove(`nodes/${node.name}/join.json`);
      return;
    }
    for (const node of fleet.file.nodes) {
      if ((await fleet.running(`agent-${node.name}`)) === undefined) {
        const words = await fleet.logTail(`agent-${node.name}`, 15);
        throw new CommandFailure(
          `the agent of ${node.name} ended while starting. Its last words (${fleet.path(`logs/agent-${node.name}.log`)}):\n${words}`,
        );
      }
    }
    await sleep(context.timers, pollMs);
  }
  throw new CommandFailure(
    `only ${readyBefore} of ${wanted} nodes are ready after ${nodesReadyTimeoutMs / 1000} s; see ${fleet.path('logs')}.`,
  );
}

function sayReady(context: CliContext, fleet: Fleet): void {
  const output = context.standardOutput;
  const kubeconfig = displayPath(context.workingDirectory, fleet.path('kubeconfig'));
  const example = displayPath(
    context.workingDirectory,
    resolvePath(context.packageFolder, 'examples/edge-microservice/deployment.yaml'),
  );
  const state = displayPath(context.workingDirectory, fleet.stateFolder);
  const stateWords = state === '.selvage' ? '' : ` --state ${state}`;
  output.write(
    [
      '',
      coloured(output, 'green', 'Fleet ready'),
      `  API         https://127.0.0.1:${fleet.file.apiPort}`,
      `  kubeconfig  ${kubeconfig}`,
      '',
      'Try, in another terminal:',
      `  export KUBECONFIG=${fleet.path('kubeconfig')}`,
      '  kubectl get nodes -o wide',
      `  kubectl apply -f ${example} && kubectl get pods -o wide --watch`,
      `  ${selvageWords(context)} status${stateWords}`,
      '',
      'Ctrl-C stops the fleet; started again it goes on where it was.',
      '',
    ].join('\n'),
  );
}

/**
 * Stops agents with their pods, then the server, then whatever is left of them.
 * Every process is known by pid and start time, so nothing else is touched.
 */
async function stopFleet(
  context: CliContext,
  fleet: Fleet,
  options: { readonly quiet: boolean } = { quiet: false },
): Promise<void> {
  const agents = [];
  for (const node of fleet.file.nodes) {
    if ((await fleet.running(`agent-${node.name}`)) !== undefined) agents.push(node.name);
  }
  const server = await fleet.running('server');
  const busy = agents.length > 0 || server !== undefined;
  if (busy && !options.quiet)
    say(context, `stopping ${counted(agents.length, 'agent')} with their pods, then the server`);
  if (busy && options.quiet) say(context, 'stopping what an earlier run has left behind');
  const failures: string[] = [];
  const attempt = async (work: Promise<void>): Promise<void> => {
    try {
      await work;
    } catch (error) {
      failures.push(error instanceof Error ? error.message : String(error));
    }
  };
  await Promise.all(
    agents.map((name) => attempt(stopProcess(context, fleet, `agent-${name}`, 'SIGINT'))),
  );
  await attempt(stopProcess(context, fleet, 'server', 'SIGTERM'));
  for (const node of fleet.file.nodes) {
    const left = await aliveContainers(fleet, node.name);
    const agent = await fleet.running(`agent-${node.name}`);
    const roots = agent === undefined ? left : [...left, agent];
    await killTrees(context.spawn, roots);
    for (const root of roots) await waitForEnd(context.spawn, context.timers, root, 5_000);
  }
  if (failures.length > 0) say(context, failures.join('\n'));
  if (busy && !options.quiet) say(context, 'stopped');
}

function say(context: CliContext, text: string): void {
  context.standardOutput.write(`${coloured(context.standardOutput, 'dim', '·')} ${text}\n`);
}

function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}

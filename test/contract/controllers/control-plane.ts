/**
 * The real server over the real store, with the real controllers, in simulated
 * time; and a stand-in for hub and agents that assigns each pod to the next of
 * three nodes unless it asks for one, runs it a second later, ends it where its
 * image says so, and removes what is to go. The server may be killed and started
 * again; pods go on meanwhile.
 */
import type { Uid } from '#base/mod.ts';
import {
  type ApiObject,
  builtInDefinitions,
  type ContainerStatus,
  encodeFacet,
  foldObject,
  type GroupVersionResource,
  type Pod,
  type PodStatus,
  resources,
} from '#platform/api/mod.ts';
import {
  type Client,
  createClient,
  handlerTransport,
  type Transport,
} from '#platform/client/mod.ts';
import { createJoinTokens, openCertificateAuthority } from '#platform/identity/mod.ts';
import { sleep, timestampOf } from '#platform/io/mod.ts';
import { createWorld, type World } from '#platform/sim/mod.ts';
import { openStore, type Store, type StoredObject } from '#platform/store/mod.ts';
import { type Controllers, startControllers } from '#roles/controllers/mod.ts';
import { createServer, type ServerDependencies } from '#roles/server/mod.ts';

type UsageOf = NonNullable<ServerDependencies['usage']>['of'];

const nodes = ['node-1', 'node-2', 'node-3'];
const startMs = 1_000;
/** Of images whose pods come to an end: `ok:5` succeeds five seconds after it has started. */
const endingImage = /^(ok|bad):(\d+)$/u;

export interface ControlPlane {
  readonly world: World;
  /** Of the server that runs now. */
  readonly client: Client;
  readonly store: Store;
  /** Kills the server and starts it again over what is on its disk. */
  restart(): Promise<void>;
  /** Makes a node, Ready, with these labels besides its name. */
  addNode(name: string, labels?: Readonly<Record<string, string>>): Promise<void>;
  /** Says as the agent does how a pod is. */
  report(pod: ApiObject, status: PodStatus): Promise<void>;
  /** Pods whose images match this never become ready. */
  readonly brokenImages: Set<string>;
  /** Thousandths of a core that each pod uses which runs; undefined: nobody measures. */
  setPodUse(cpuMilliOf: ((pod: Pod) => number) | undefined): void;
  /** Runs until `found` is true; throws with what there is when it is not after a minute. */
  until(what: string, found: () => Promise<boolean>): Promise<void>;
  list(resource: GroupVersionResource, namespace?: string): Promise<readonly ApiObject[]>;
  /** Called after every transaction with the pods that exist and are not on their way out. */
  onPods(listener: (pods: readonly Pod[]) => void): void;
  act<Result>(work: Promise<Result>): Promise<Result>;
  close(): Promise<void>;
}

/** Events of watches are shared in one process: whoever changes one fails here. */
function frozen(transport: Transport): Transport {
  return async (request) => {
    const response = await transport(request);
    const { parts } = response;
    return parts === undefined ? response : { ...response, parts: eachFrozen(parts) };
  };
}

async function* eachFrozen<Part>(groups: AsyncIterable<readonly Part[]>) {
  for await (const group of groups) {
    for (const part of group) if (!(part instanceof Uint8Array)) freeze(part);
    yield group;
  }
}

function freeze(value: unknown): void {
  if (typeof value !== 'object' || value === null || Object.isFrozen(value)) return;
  Object.freeze(value);
  for (const inner of Object.values(value)) freeze(inner);
}

export async function openControlPlane(seed: number): Promise<ControlPlane> {
  const drainMicrotasks = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
  const world = createWorld({ seed, drainMicrotasks });
  const act = <Result>(work: Promise<Result>): Promise<Result> => world.settle(work, 60_000);
  const host = world.host('server');
  const { clock, timers } = world;

  let cpuMilliOf: ((pod: Pod) => number) | undefined;
  const usageOf = (nodeName: string): ReturnType<UsageOf> => {
    const measure = cpuMilliOf;
    if (measure === undefined) return undefined;
    const here = running.store
      .list('pods')
      .map(podOf)
      .filter(({ spec, status }) => spec.nodeName === nodeName && status?.phase === 'Running');
    const containers = here.map((pod) => ({
      podUid: pod.metadata.uid ?? '',
      container: pod.spec.containers[0]?.name ?? '',
      cpuNanoCores: measure(pod) * 1e6,
      memoryBytes: 1_048_576,
    }));
    const amounts = { windowMs: 10_000, cpuNanoCores: 1, memoryBytes: 1 };
    return { atWallMs: clock.wallMs(), ...amounts, containers };
  };

  interface Running {
    store: Store;
    client: Client;
    controllers: Controllers;
    stop: () => void;
  }

  async function open(): Promise<Running> {
    const { clock, timers, random, disk, keys, logger } = host.ports;
    const store = await openStore({ disk: disk.within('log'), random, logger });
    const eventStore = await openStore(
      { disk: disk.within('events'), random, logger, clock },
      { retain: { resource: 'events', objectsMax: 1_000 } },
    );
    const authority = await openCertificateAuthority({
      disk: disk.within('authority'),
      keys,
      clock,
      random,
    });
    const server = await createServer({
      store,
      eventStore,
      definitions: builtInDefinitions,
      clock,
      timers,
      random,
      logger,
      joinTokens: createJoinTokens({ store, authority, keys, clock, random }),
      podLogs: { open: () => ({ close() {} }) },
      usage: { refresh: () => Promise.resolve(), of: (nodeName) => usageOf(nodeName) },
      registryHandler: () => Promise.resolve({ status: 404, headers: {}, body: new Uint8Array(0) }),
      linkAddress: () => ({ host: 'server', port: 1 }),
      version: {
        version: '0.0.0',
        gitCommit: '',
        buildDate: timestampOf(0),
        platform: 'linux/amd64',
      },
    });
    const clientFor = (name: string): Client =>
      createClient(
        frozen(
          handlerTransport(server.handler, {
            commonName: `system:controller:${name}`,
            organizations: ['system:controllers'],
            uris: [],
            serialNumber: '00',
            notAfterMs: clock.wallMs() + 1e12,
          }),
        ),
        { userAgent: name },
      );
    const controllers = startControllers({ clientFor, clock, timers, random, logger });
    await controllers.ready();
    const stop = (): void => server.close();
    return { store, client: clientFor('test'), controllers, stop };
  }

  let running = await act(open());
  const brokenImages = new Set<string>();
  const podListeners: ((pods: readonly Pod[]) => void)[] = [];
  let nextNode = 0;

  const podDefinition = builtInDefinitions.find(({ plural }) => plural === 'pods');
  if (podDefinition === undefined) throw new Error('no pods');
  const podOf = (stored: StoredObject): Pod => foldObject(podDefinition, stored) as Pod;

  const put = async (
    stored: Pick<StoredObject, 'key' | 'uid'>,
    facet: 'assignment' | 'report' | 'verdict',
    value: object,
  ): Promise<void> => {
    const { key, uid } = stored;
    const bytes = encodeFacet(value as never);
    await running.store.transact((view) => {
      const isSame = view.get(key)?.uid === uid;
      const changes = isSame ? [{ type: 'put' as const, key, uid, facet, bytes }] : [];
      return { changes, result: undefined };
    });
  };

  /** What runs on the nodes: it lives on when the server dies, and what it has to say waits. */
  const started = new Set<string>();
  const said = new Map<string, { stored: StoredObject; report: object }>();
  const say = (stored: StoredObject, status: PodStatus, terminated: boolean): void => {
    const report = terminated ? { status, terminated } : { status };
    said.set(stored.uid, { stored, report });
    void put(stored, 'report', report);
  };

  const run = async (stored: StoredObject, image: string): Promise<void> => {
    if (started.has(stored.uid) || brokenImages.has(image)) return;
    started.add(stored.uid);
    await sleep(timers, startMs);
    const lastTransitionTime = timestampOf(clock.wallMs());
    const podIP = `127.1.0.${started.size}`;
    const ready: PodStatus = {
      phase: 'Running',
      podIP,
      conditions: [{ type: 'Ready', status: 'True', lastTransitionTime }],
    };
    say(stored, ready, false);
    const [, how, seconds] = endingImage.exec(image) ?? [];
    if (how === undefined) return;
    await sleep(timers, Number(seconds) * 1_000);
    const exitCode = how === 'ok' ? 0 : 1;
    const finishedAt = timestampOf(clock.wallMs());
    const end: ContainerStatus = {
      name: 'main',
      ready: false,
      restartCount: 0,
      image,
      imageID: '',
      state: { terminated: { exitCode, finishedAt } },
    };
    say(
      stored,
      { phase: exitCode === 0 ? 'Succeeded' : 'Failed', podIP, containerStatuses: [end] },
      true,
    );
  };

  const carryOut = async (stored: StoredObject): Promise<void> => {
    const pod = podOf(stored);
    if (pod.metadata.deletionTimestamp !== undefined) {
      await sleep(timers, 500);
      if ((pod.metadata.finalizers ?? []).length > 0) return;
      const { key } = stored;
      await running.store.transact((view) => {
        const uid = view.get(key)?.uid as Uid;
        const changes = uid === stored.uid ? [{ type: 'delete' as const, key, uid }] : [];
        return { changes, result: undefined };
      });
      return;
    }
    if (pod.spec.nodeName === undefined) {
      const [term] =
        pod.spec.affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution
          ?.nodeSelectorTerms ?? [];
      const asked = term?.matchFields?.[0]?.values?.[0];
      const nodeName = asked ?? nodes[nextNode % nodes.length] ?? '';
      if (asked === undefined) nextNode += 1;
      await put(stored, 'assignment', { nodeName, images: {} });
      return;
    }
    await run(stored, pod.spec.containers[0]?.image ?? '');
  };

  function look(): void {
    const { store } = running;
    store.watch(store.revision, ({ events }) => {
      for (const { type, object } of events) {
        if (object.key.resource === 'pods' && type === 'put') void carryOut(object);
      }
      const pods = store.list('pods').map(podOf);
      const active = pods.filter(({ metadata }) => metadata.deletionTimestamp === undefined);
      for (const listener of podListeners) listener(active);
    });
    for (const { stored, report } of said.values()) void put(stored, 'report', report);
    for (const stored of store.list('pods')) void carryOut(stored);
  }
  look();

  return {
    world,
    get client() {
      return running.client;
    },
    get store() {
      return running.store;
    },
    brokenImages,
    setPodUse(measure) {
      cpuMilliOf = measure;
    },
    async restart() {
      host.crash();
      host.boot();
      running = await act(open());
      look();
    },
    async addNode(name, labels = {}) {
      const node = { apiVersion: 'v1', kind: 'Node', metadata: { name, labels } };
      const { metadata } = await act(running.client.create(resources.nodes, node));
      const key = { resource: 'nodes', namespace: '', name };
      const uid = metadata.uid as Uid;
      await act(put({ key, uid }, 'assignment', { region: 'north', site: `site-of-${name}` }));
      await act(put({ key, uid }, 'verdict', { ready: 'True', sinceTime: timestampOf(0) }));
    },
    async report({ metadata }, status) {
      const key = { resource: 'pods', namespace: metadata.namespace ?? '', name: metadata.name };
      await act(put({ key, uid: metadata.uid as Uid }, 'report', { status }));
    },
    act,
    onPods: (listener) => podListeners.push(listener),
    list: async (resource, namespace = 'default') =>
      (await act(running.client.list(resource, { namespace }))).items,
    async until(what, found) {
      for (let tries = 0; tries < 600; tries += 1) {
        if (await found()) return;
        await world.run(world.clock.monotonicMs() + 100);
      }
      throw new Error(`not within a minute: ${what}`);
    },
    async close() {
      await act(running.controllers.close());
      running.stop();
      await act(running.store.close());
    },
  };
}

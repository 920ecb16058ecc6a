/**
 * The real server over the real store, with the real controllers, in simulated
 * time; and a stand-in for hub and agents that assigns each pod to the next of
 * three nodes, runs it a second later, and removes what is to go.
 */
import type { Uid } from '#base/mod.ts';
import {
  type ApiObject,
  builtInDefinitions,
  encodeFacet,
  foldObject,
  type GroupVersionResource,
  type Pod,
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
import { createServer } from '#roles/server/mod.ts';

const nodes = ['node-1', 'node-2', 'node-3'];
const startMs = 1_000;

export interface ControlPlane {
  readonly world: World;
  readonly client: Client;
  readonly store: Store;
  /** Pods whose images match this never become ready. */
  readonly brokenImages: Set<string>;
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
  const { clock, timers, random, disk, keys, logger } = world.host('server').ports;

  async function open(): Promise<{
    store: Store;
    client: Client;
    controllers: Controllers;
    stop: () => void;
  }> {
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

  const { store, client, controllers, stop } = await act(open());
  const brokenImages = new Set<string>();
  const podListeners: ((pods: readonly Pod[]) => void)[] = [];
  let nextNode = 0;

  const podDefinition = builtInDefinitions.find(({ plural }) => plural === 'pods');
  if (podDefinition === undefined) throw new Error('no pods');
  const podOf = (stored: StoredObject): Pod => foldObject(podDefinition, stored) as Pod;

  const put = (stored: StoredObject, facet: 'assignment' | 'report', value: object): void => {
    const { key, uid } = stored;
    const bytes = encodeFacet(value as never);
    void store.transact((view) => {
      const isSame = view.get(key)?.uid === uid;
      const changes = isSame ? [{ type: 'put' as const, key, uid, facet, bytes }] : [];
      return { changes, result: undefined };
    });
  };

  const carryOut = async (stored: StoredObject): Promise<void> => {
    const pod = podOf(stored);
    if (pod.metadata.deletionTimestamp !== undefined) {
      await sleep(timers, 500);
      const { key } = stored;
      await store.transact((view) => {
        const uid = view.get(key)?.uid as Uid;
        const changes = uid === stored.uid ? [{ type: 'delete' as const, key, uid }] : [];
        return { changes, result: undefined };
      });
      return;
    }
    if (pod.spec.nodeName === undefined) {
      put(stored, 'assignment', { nodeName: nodes[nextNode % nodes.length] ?? '', images: {} });
      nextNode += 1;
      return;
    }
    const image = pod.spec.containers[0]?.image ?? '';
    if (pod.status?.phase !== 'Pending' || brokenImages.has(image)) return;
    await sleep(timers, startMs);
    const lastTransitionTime = timestampOf(clock.wallMs());
    const conditions = [{ type: 'Ready', status: 'True', lastTransitionTime }];
    put(stored, 'report', { status: { phase: 'Running', conditions } });
  };

  store.watch(store.revision, ({ events }) => {
    for (const { type, object } of events) {
      if (object.key.resource === 'pods' && type === 'put') void carryOut(object);
    }
    const pods = store.list('pods').map(podOf);
    const active = pods.filter(({ metadata }) => metadata.deletionTimestamp === undefined);
    for (const listener of podListeners) listener(active);
  });

  return {
    world,
    client,
    store,
    brokenImages,
    act,
    onPods: (listener) => podListeners.push(listener),
    list: async (resource, namespace = 'default') =>
      (await act(client.list(resource, { namespace }))).items,
    async until(what, found) {
      for (let tries = 0; tries < 600; tries += 1) {
        if (await found()) return;
        await world.run(world.clock.monotonicMs() + 100);
      }
      throw new Error(`not within a minute: ${what}`);
    },
    async close() {
      await act(controllers.close());
      stop();
      await act(store.close());
    },
  };
}

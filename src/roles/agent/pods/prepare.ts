/**
 * What a container is started with: its image, what it finds in its environment and
 * in its file system. Looked up anew before each start, as all of it may change
 * between two runs.
 */
import { ownOf } from '#base/mod.ts';
import { type Container, milliUnitsOf, tryParseQuantity } from '#platform/api/mod.ts';
import type { ImageCache } from '../images/image-cache.ts';
import type { PullProgress } from '../images/image-pull.ts';
import type { ContainerLimits, ContainerResolver, ContainerStart } from '../runtimes/types.ts';
import type { ConfigObjects } from './config-objects.ts';
import type { DesiredPod } from './desired-pod.ts';
import { commandOf, environmentOf } from './environment.ts';
import type { PodFacts } from './pod-fields.ts';
import { tokenProjectionsOf } from './pod-tokens.ts';
import type { PodVolumes } from './volumes/pod-volumes.ts';

/** What a runtime is told of a container, but for which run of it this is. */
export type PreparedStart = Omit<ContainerStart, 'restartCount' | 'last' | 'deadlineBootMs'>;

export type Preparation =
  | {
      readonly status: 'ready';
      readonly platform: string;
      readonly start: PreparedStart;
      /** What was left out though somebody asked for it, one sentence each. */
      readonly warnings: readonly string[];
    }
  /** The hub has yet to say what its image is. */
  | { readonly status: 'undecided' }
  | { readonly status: 'pulling'; readonly progress: PullProgress | undefined }
  | { readonly status: 'unavailable'; readonly why: string };

export interface Preparer {
  /**
   * Rejects with AgentError RUNTIME_BAD_COMMAND or CONTAINER_CONFIG where the
   * container cannot be started as it is written: tried again after a while, and
   * when the slice changes.
   */
  prepare(pod: DesiredPod, container: Container, ip: string): Promise<Preparation>;
}

export interface PreparerDependencies {
  readonly images: ImageCache;
  readonly objects: ConfigObjects;
  readonly volumes: PodVolumes;
  /** Where a pod that has a token reaches the API; undefined while nobody has said it. */
  readonly apiAddress: () => { readonly host: string; readonly port: number } | undefined;
  /** A pod as it may be told of itself. */
  readonly factsOf: (pod: DesiredPod, ip: string) => PodFacts;
  /** For the pods of a namespace; undefined: they resolve names as the machine does. */
  readonly resolverFor: (namespace: string) => ContainerResolver | undefined;
}

/** What a limit leaves open, the runtime decides. */
function limitsOf({ resources }: Container): ContainerLimits {
  const memory = milliOf(resources?.limits?.memory);
  const cpuMillis = milliOf(resources?.limits?.cpu);
  return {
    ...(memory === undefined ? {} : { memoryBytes: Math.ceil(memory / 1_000) }),
    ...(cpuMillis === undefined ? {} : { cpuMillis: Math.ceil(cpuMillis) }),
  };
}

/** In thousandths; undefined where nothing is said, or nothing at all. */
function milliOf(amount: string | undefined): number | undefined {
  const quantity = amount === undefined ? undefined : tryParseQuantity(amount);
  const milli = quantity === undefined ? 0 : milliUnitsOf(quantity);
  return milli > 0 ? milli : undefined;
}

export function createPreparer({
  images,
  objects,
  volumes,
  apiAddress,
  factsOf,
  resolverFor,
}: PreparerDependencies): Preparer {
  return {
    async prepare(pod, container, ip) {
      const digest = ownOf(pod.images, container.image);
      if (digest === undefined) {
        const why = ownOf(pod.imagesUnknown, container.image) ?? pod.imagesUnknownWhy;
        return why === undefined ? { status: 'undecided' } : { status: 'unavailable', why };
      }
      const state = images.want(digest);
      if (state.status === 'pulling') return { status: 'pulling', progress: state.progress };
      if (state.status === 'failed') return { status: 'unavailable', why: state.message };
      const { image } = state;
      const { namespace, name } = pod.key;
      const facts = factsOf(pod, ip);
      // The volumes first: with the first token comes where the API is.
      const mounts = await volumes.mountsFor(facts, container);
      const api = tokenProjectionsOf(facts).length === 0 ? undefined : apiAddress();
      const { variables, skipped } = environmentOf(container, image, facts, objects, api);
      const { workingDir = '' } = container;
      const resolver = facts.spec.dnsPolicy === 'Default' ? undefined : resolverFor(namespace);
      return {
        status: 'ready',
        platform: image.platform,
        warnings: skipped.map((keys) => `${keys} were skipped: they cannot name variables`),
        start: {
          podUid: pod.uid,
          podNamespace: namespace,
          podName: name,
          container: container.name,
          image: container.image,
          digest,
          ip,
          bundle: image.bundle,
          command: commandOf(container, image, variables),
          environment: variables,
          mounts,
          limits: limitsOf(container),
          ...(workingDir === '' ? {} : { workingDirectory: workingDir }),
          ...(resolver === undefined ? {} : { resolver }),
          ...(container.stdin === true
            ? { input: container.stdinOnce === true ? 'first-only' : 'kept-open' }
            : {}),
          ...(pod.spec.hostname === undefined ? {} : { hostname: pod.spec.hostname }),
        },
      };
    },
  };
}

/**
 * Tokens of ServiceAccounts for the pods of this node: asked of the hub when a pod
 * needs one, and again well before it ends. They are in memory and in the volumes that
 * show them, and nowhere else.
 *
 * Invariants:
 * 1. Of one use in one pod at most one request is under way.
 * 2. A token that cannot be renewed stays in its volume: with the link gone it is good
 *    until its own end.
 * 3. No token is in any log.
 */
import { errorText, isJsonObject, strictTextOf, utf8 } from '#base/mod.ts';
import type { TokenProjection } from '#platform/api/mod.ts';
import type { Clock, Disk, Logger, Timer, Timers } from '#platform/io/mod.ts';
import type { LinkSession } from '#platform/wire/mod.ts';
import type { PodFacts } from './pod-fields.ts';

export interface PodTokens {
  /** The newest; undefined while there is none. */
  tokenOf(podUid: string, source: TokenProjection): Uint8Array | undefined;
  /** Why there is none, for people. */
  whyNone(podUid: string, source: TokenProjection): string;
  /** Asks for what the pod needs and has not; resolves when each was answered, or after a while. */
  ensure(pod: PodFacts): Promise<void>;
  /** Where pods of this node reach the API; undefined while no hub has said it. */
  apiAddress(): { readonly host: string; readonly port: number } | undefined;
  forget(podUid: string): void;
  close(): void;
}

export interface PodTokensDependencies {
  readonly disk: Disk;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly logger: Logger;
  readonly session: () => LinkSession | undefined;
  /** The host by which this node reaches its hub. */
  readonly hubHost: string;
  /** Called when a pod has a newer token than its volumes show. */
  readonly onRenewed: (podUid: string) => void;
}

interface Held {
  token: Uint8Array | undefined;
  why: string;
  asking: Promise<void> | undefined;
  timer: Timer | undefined;
}

const requestTimeoutMs = 5_000;
const retryMs = 30_000;
/** Of its life a token is renewed when so much has passed. */
const renewAfterShare = 0.8;
const timerMaxMs = 24 * 3_600_000;
const addressFile = 'api-address.json';
const addressBytesMax = 4_096;
const tokenAnswerBytesMax = 16 * 1024;

/** What a pod's volumes project of its account. */
export function tokenProjectionsOf({ spec }: PodFacts): readonly TokenProjection[] {
  return (spec.volumes ?? []).flatMap(({ projected }) =>
    (projected?.sources ?? []).flatMap(({ serviceAccountToken }) => serviceAccountToken ?? []),
  );
}

export async function openPodTokens(dependencies: PodTokensDependencies): Promise<PodTokens> {
  const { disk, clock, timers, logger, session, hubHost, onRenewed } = dependencies;
  const held = new Map<string, Map<string, Held>>();
  let apiPort = portIn(await disk.readFile(addressFile, addressBytesMax));
  let isClosed = false;

  function heldOf(podUid: string, source: TokenProjection): Held {
    const ofPod = held.get(podUid) ?? new Map<string, Held>();
    held.set(podUid, ofPod);
    const use = useOf(source);
    const one: Held = ofPod.get(use) ?? {
      token: undefined,
      why: 'the hub has not been asked yet',
      asking: undefined,
      timer: undefined,
    };
    ofPod.set(use, one);
    return one;
  }

  function ask(pod: PodFacts, source: TokenProjection): Promise<void> {
    const one = heldOf(pod.uid, source);
    one.asking ??= request(pod, source, one).finally(() => {
      one.asking = undefined;
    });
    return one.asking;
  }

  async function request(pod: PodFacts, source: TokenProjection, one: Held): Promise<void> {
    one.timer?.cancel();
    let againMs = retryMs;
    try {
      const link = session();
      if (link === undefined) throw new Error('there is no link to the hub');
      const { uid, namespace, name } = pod;
      const { audience = '', expirationSeconds = 3_600 } = source;
      const order = { uid, namespace, name, audience, expirationSeconds };
      const answer = await link.request('status', 'pod.token', order, noBytes, requestTimeoutMs);
      const issued = issuedIn(answer);
      one.token = utf8(issued.token);
      const leftMs = issued.expiresAtMs - clock.wallMs();
      againMs = Math.max(retryMs, leftMs * renewAfterShare);
      await keepPort(issued.apiPort);
    } catch (error) {
      one.why = errorText(error);
    }
    if (isClosed || held.get(pod.uid)?.get(useOf(source)) !== one) return;
    one.timer = timers.after(Math.min(againMs, timerMaxMs), () => {
      void ask(pod, source).then(() => onRenewed(pod.uid));
    });
  }

  function forget(podUid: string): void {
    for (const { timer } of held.get(podUid)?.values() ?? []) timer?.cancel();
    held.delete(podUid);
  }

  async function keepPort(port: number): Promise<void> {
    if (port === apiPort) return;
    apiPort = port;
    try {
      await disk.writeFileAtomic(addressFile, utf8(JSON.stringify({ port })));
    } catch (error) {
      // It is asked for again with the next token.
      logger.log('warn', 'where the API is could not be kept', { error: errorText(error) });
    }
  }

  return {
    tokenOf: (podUid, source) => held.get(podUid)?.get(useOf(source))?.token,
    whyNone: (podUid, source) => heldOf(podUid, source).why,
    async ensure(pod) {
      const missing = tokenProjectionsOf(pod).filter(
        (source) => held.get(pod.uid)?.get(useOf(source))?.token === undefined,
      );
      await Promise.all(missing.map((source) => ask(pod, source)));
    },
    apiAddress: () => (apiPort === undefined ? undefined : { host: hubHost, port: apiPort }),
    forget,
    close() {
      isClosed = true;
      for (const podUid of [...held.keys()]) forget(podUid);
    },
  };
}

const noBytes = new Uint8Array(0);

function useOf({ audience = '', expirationSeconds = 0 }: TokenProjection): string {
  return `${expirationSeconds} ${audience}`;
}

function issuedIn(answer: Uint8Array): {
  readonly token: string;
  readonly expiresAtMs: number;
  readonly apiPort: number;
} {
  const value: unknown =
    answer.length > tokenAnswerBytesMax ? undefined : JSON.parse(strictTextOf(answer));
  if (isJsonObject(value)) {
    const { token, expiresAtMs, apiPort } = value;
    if (
      typeof token === 'string' &&
      typeof expiresAtMs === 'number' &&
      typeof apiPort === 'number'
    ) {
      return { token, expiresAtMs, apiPort };
    }
  }
  throw new Error('the hub answered with something that is no token');
}

function portIn(bytes: Uint8Array | undefined): number | undefined {
  if (bytes === undefined) return undefined;
  try {
    const value: unknown = JSON.parse(strictTextOf(bytes));
    const port = isJsonObject(value) ? value['port'] : undefined;
    return typeof port === 'number' ? port : undefined;
  } catch {
    // Damaged: the next token brings it again.
    return undefined;
  }
}

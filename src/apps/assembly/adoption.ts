/**
 * Takes over from connected nodes what the server lacks after a restore, or only keeps
 * what they hold, before the server's own word becomes final.
 *
 * Invariants:
 * 1. What is not taken over is on the server's disk before anything of the node's is changed:
 *    `history/<epoch>/<node>.json`, for people to read; nothing here reads it again.
 * 2. Doing it again after it was cut off anywhere takes over the rest.
 */
import { errorText, textOf, type Uid, utf8 } from '#base/mod.ts';
import { builtInDefinitions, StatusError } from '#platform/api/mod.ts';
import { adoptedRecordChanges, provedKeyHash } from '#platform/identity/mod.ts';
import {
  type Clock,
  type Disk,
  type Keys,
  type Logger,
  type Random,
  timestampOf,
} from '#platform/io/mod.ts';
import { keyText, type OwnedStore, type StoredObject } from '#platform/store/mod.ts';
import {
  type AdoptionContext,
  type AdoptionOutcome,
  type NodeCopy,
  nodeKey,
  offeredResources,
  planAdoption,
  raisedReplicas,
} from '#roles/hub/mod.ts';

/** Copies in memory at a time. */
const nodesAtOnce = 4;
/** Of one transaction, so that none comes near what a store takes. */
const chunkBytesMax = 4 * 1024 * 1024;
const chunkObjectsMax = 500;
const historyFolder = 'history';

export interface AdoptionDependencies {
  readonly disk: Disk;
  readonly clock: Clock;
  readonly random: Random;
  readonly keys: Keys;
  readonly logger: Logger;
  readonly store: OwnedStore;
  readonly fetchCopy: (nodeName: string) => Promise<NodeCopy>;
}

export interface AdoptionRun {
  /** `keep`: everything only goes into the history. `try`: nothing is written at all. */
  readonly mode: 'adopt' | 'keep' | 'try';
  readonly nodeNames: readonly string[];
  /** Names the folder of the history. */
  readonly epoch: number;
  /** Of the server, when it was found to have another history than nodes have. */
  readonly partedAtRevision: number;
}

export interface AdoptionSummary {
  readonly outcomes: readonly AdoptionOutcome[];
  /** Nodes whose copy could not be had, with the reason. */
  readonly failed: readonly { readonly nodeName: string; readonly why: string }[];
  readonly remarks: readonly string[];
}

export async function runAdoption(
  dependencies: AdoptionDependencies,
  run: AdoptionRun,
): Promise<AdoptionSummary> {
  const outcomes: AdoptionOutcome[] = [];
  const failed: { nodeName: string; why: string }[] = [];
  const taken = new Map<string, number>();
  const left = [...run.nodeNames];
  const work = async (): Promise<void> => {
    for (let nodeName = left.shift(); nodeName !== undefined; nodeName = left.shift()) {
      let copy: NodeCopy;
      try {
        copy = await dependencies.fetchCopy(nodeName);
      } catch (thrown) {
        failed.push({ nodeName, why: errorText(thrown) });
        continue;
      }
      outcomes.push(...(await runForNode(dependencies, run, copy, taken)));
    }
  };
  await Promise.all(Array.from({ length: nodesAtOnce }, work));
  if (run.mode !== 'adopt') return { outcomes, failed, remarks: [] };
  const pods = new Set(
    outcomes.filter(({ outcome }) => outcome !== 'refused').map(({ object }) => object),
  );
  const gone = new Set(failed.map(({ nodeName }) => nodeName));
  const looked = new Set(run.nodeNames.filter((name) => !gone.has(name)));
  const { result: remarks } = await dependencies.store.transact((view) => {
    const raised = raisedReplicas(view, pods, looked);
    return { changes: raised.changes, result: raised.remarks };
  });
  return { outcomes, failed, remarks };
}

async function runForNode(
  dependencies: AdoptionDependencies,
  { mode, epoch, partedAtRevision }: AdoptionRun,
  copy: NodeCopy,
  taken: Map<string, number>,
): Promise<readonly AdoptionOutcome[]> {
  const { store } = dependencies;
  const context = { ...(await contextFor(dependencies, copy, taken)), partedAtRevision };
  const rank = (object: StoredObject): number =>
    (offeredResources as readonly string[]).indexOf(object.key.resource);
  const objects = copy.objects.toSorted((left, right) => rank(left) - rank(right));
  const judged: AdoptionOutcome[] = [];
  for (const chunk of chunksOf(objects)) {
    const isNodeTaken = judged.some(
      ({ object, outcome }) => object === keyText(nodeKey(copy.nodeName)) && outcome === 'taken in',
    );
    judged.push(...planAdoption(store, copy, chunk, { ...context, isNodeTaken }).outcomes);
  }
  if (mode === 'try') return judged;
  const kept = judged.filter(({ outcome }) =>
    mode === 'keep' ? outcome !== 'present' : outcome === 'refused',
  );
  await keepHistory(dependencies, epoch, copy, kept);
  if (mode === 'keep') return judged;
  const outcomes: AdoptionOutcome[] = [];
  for (const chunk of chunksOf(objects)) {
    const { result } = await store.transact((view) => {
      const plan = planAdoption(view, copy, chunk, context);
      return { changes: plan.changes, result: plan };
    });
    for (const [place, revision] of result.taken) taken.set(place, revision);
    outcomes.push(...result.outcomes);
  }
  return outcomes;
}

async function contextFor(
  { clock, random, keys }: AdoptionDependencies,
  copy: NodeCopy,
  takenRevisions: ReadonlyMap<string, number>,
): Promise<Omit<AdoptionContext, 'partedAtRevision'>> {
  const nowMs = clock.wallMs();
  const uids = new Map<string, string>();
  const newUid = (name: string): string => {
    const uid = uids.get(name) ?? random.uuid();
    uids.set(name, uid);
    return uid;
  };
  const { certificateRequestPem } = copy.statement;
  let publicKeyHash: string | undefined;
  let problem = 'its agent did not send the certificate request that proves its key';
  if (typeof certificateRequestPem === 'string') {
    try {
      const { serialNumber } = copy;
      publicKeyHash = await provedKeyHash(keys, { certificateRequestPem, serialNumber });
    } catch (thrown) {
      if (!(thrown instanceof StatusError)) throw thrown;
      problem = thrown.message;
    }
  }
  return {
    definitions: builtInDefinitions,
    nowMs,
    newUid,
    takenRevisions,
    recordNode(view, nodeName, nodeUid) {
      if (publicKeyHash === undefined) throw new StatusError('Invalid', problem);
      const time = timestampOf(nowMs);
      const recordUid = newUid(`node ${nodeName}`) as Uid;
      return adoptedRecordChanges(view, {
        ...{ nodeName, nodeUid, publicKeyHash, time, nowMs },
        newUid: recordUid,
      });
    },
  };
}

function chunksOf(objects: readonly StoredObject[]): readonly (readonly StoredObject[])[] {
  const chunks: StoredObject[][] = [];
  let sizeBytes = 0;
  for (const object of objects) {
    const last = chunks.at(-1);
    const own = Object.values(object.facets).reduce((sum, { bytes }) => sum + bytes.length, 0);
    if (last === undefined || last.length >= chunkObjectsMax || sizeBytes + own > chunkBytesMax) {
      chunks.push([object]);
      sizeBytes = own;
    } else {
      last.push(object);
      sizeBytes += own;
    }
  }
  return chunks;
}

/** Writes down what the node holds and the server will not take: for people, never read again. */
async function keepHistory(
  { disk, clock }: AdoptionDependencies,
  epoch: number,
  { nodeName, objects, cursor }: NodeCopy,
  left: readonly AdoptionOutcome[],
): Promise<void> {
  const why = new Map(left.map(({ object, outcome, remark }) => [object, remark ?? outcome]));
  const kept = objects.filter(({ key }) => why.has(keyText(key)));
  if (kept.length === 0) return;
  const folder = `${historyFolder}/${epoch}`;
  await disk.makeDirectory(folder, 0o700);
  const lines = kept.map((object) =>
    JSON.stringify({
      object: keyText(object.key),
      uid: object.uid,
      why: why.get(keyText(object.key)) ?? '',
      facets: Object.fromEntries(
        Object.entries(object.facets).map(([facet, { revision, bytes }]) => [
          facet,
          { revision, value: textOf(bytes) },
        ]),
      ),
    }),
  );
  const head = { nodeName, at: timestampOf(clock.wallMs()), cursor };
  const text = `${[JSON.stringify(head), ...lines].join('\n')}\n`;
  // Secrets may be among it.
  await disk.writeFileAtomic(`${folder}/${nodeName}.jsonl`, utf8(text), 0o600);
}

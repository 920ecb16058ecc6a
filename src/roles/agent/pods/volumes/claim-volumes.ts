/**
 * The data of claims on this node, in `claims/<uid>`: made when the first pod needs it,
 * there until the claim is deleted.
 *
 * Invariants:
 * 1. Data goes only by a claim of its uid that the hub says is being deleted, and when no
 *    pod here has it: never because something is absent. The hub is told afterwards.
 * 2. It belongs to the pod that began last while no other had it. Pods that share it see
 *    each other's files with the rights that their modes give.
 */
import { errorText, isJsonObject, type JsonObject } from '#base/mod.ts';
import { claimBytesOf, type ClaimReport, type PodSpec, type Volume } from '#platform/api/mod.ts';
import type { Disk, FileTree, Logger } from '#platform/io/mod.ts';
import type { StoredObject } from '#platform/store/mod.ts';
import type { Outbox, Replica } from '#platform/sync/mod.ts';
import { AgentError } from '../../errors.ts';
import { facetOf } from '../desired-pod.ts';
import type { PodFacts } from '../pod-fields.ts';
import type { ResolvedVolume } from './resolved.ts';

export interface ClaimVolumesDependencies {
  readonly disk: Disk;
  /** Absent: this node keeps no data for pods. */
  readonly tree: FileTree | undefined;
  readonly replica: Pick<Replica, 'cursor' | 'get' | 'list'>;
  readonly outbox: Pick<Outbox, 'put'>;
  readonly logger: Logger;
}

export interface ClaimVolumesOptions {
  readonly nodeName: string;
  readonly userIdOf: (ip: string) => number;
  /** Whether a pod of this node other than that one has the claim, or may have it. */
  readonly isUsed: (namespace: string, claimName: string, exceptPodUid?: string) => boolean;
}

export interface ClaimVolumes {
  /** Makes the folder of the claim where it is not there. Rejects with CONTAINER_CONFIG. */
  resolve(tree: FileTree, pod: PodFacts, volume: Volume): Promise<ResolvedVolume>;
  /** Says why the pod has to go, where a claim of it holds more than it may. */
  overuse(tree: FileTree, pod: PodFacts): Promise<string | undefined>;
  /** Removes the data of claims that are being deleted and that nobody has any more. */
  releaseUnused(): Promise<void>;
}

const claimsResource = 'persistentvolumeclaims';
const claimsFolder = 'claims';
const ownerOnlyMode = 0o700;
/** Of everybody, as the folder around it is of nobody. */
const dataMode = 0o777;

interface KnownClaim {
  readonly uid: string;
  readonly isDeleting: boolean;
  readonly isReleased: boolean;
  readonly sizeBytes: number | undefined;
}

export function createClaimVolumes(
  { disk, tree, replica, outbox, logger }: ClaimVolumesDependencies,
  { nodeName, userIdOf, isUsed }: ClaimVolumesOptions,
): ClaimVolumes {
  /**
   * Uids whose data is gone, or is on its way out: nothing of them is made again. With the
   * incarnation of the hub that was told so: one that was restored has to be told again.
   */
  const released = new Map<string, string>();

  const folderOf = (uid: string): string => disk.absolute(`${claimsFolder}/${uid}`);

  function claimOf(namespace: string, name: string): KnownClaim | undefined {
    const object = replica.get({ resource: claimsResource, namespace, name });
    return object === undefined ? undefined : knownClaim(object, nodeName);
  }

  const incarnation = (): string => replica.cursor?.incarnation ?? '';

  async function release(object: StoredObject): Promise<void> {
    const { key, uid } = object;
    released.set(uid, incarnation());
    try {
      await tree?.remove(folderOf(uid));
      const report: ClaimReport = { status: {}, isReleased: true };
      await outbox.put({ type: 'report', key, uid, report: report as unknown as JsonObject });
    } catch (error) {
      released.delete(uid);
      const claim = `${key.namespace}/${key.name}`;
      logger.log('warn', 'the data of a claim could not be removed; it is tried again', {
        claim,
        error: errorText(error),
      });
    }
  }

  return {
    async resolve(files, pod, volume) {
      const { claimName = '', readOnly = false } = volume.persistentVolumeClaim ?? {};
      const refuse = (why: string): AgentError =>
        new AgentError('CONTAINER_CONFIG', `volume "${volume.name}": claim ${claimName} ${why}`);
      const claim = claimOf(pod.namespace, claimName);
      if (claim === undefined) throw refuse('has no data on this node');
      if (claim.isDeleting || released.has(claim.uid)) throw refuse('is being deleted');
      const source = folderOf(claim.uid);
      await disk.makeDirectory(claimsFolder, ownerOnlyMode);
      await files.makeFolder(source, { mode: dataMode });
      if (!isUsed(pod.namespace, claimName, pod.uid)) await files.giveTo(source, userIdOf(pod.ip));
      return { source, below: [], isFile: false, isReadOnly: readOnly };
    },

    async overuse(files, pod) {
      for (const { name, claimName } of claimsIn(pod.spec)) {
        const claim = claimOf(pod.namespace, claimName);
        if (claim?.sizeBytes === undefined) continue;
        const [used = 0] = await files.diskBytes([folderOf(claim.uid)]);
        if (used > claim.sizeBytes) {
          return `Usage of volume "${name}" exceeds the ${claim.sizeBytes} bytes of its claim ${claimName}.`;
        }
      }
      return undefined;
    },

    async releaseUnused() {
      for (const object of replica.list(claimsResource)) {
        const claim = knownClaim(object, nodeName);
        const { namespace, name } = object.key;
        if (claim === undefined || !claim.isDeleting || claim.isReleased) continue;
        if (released.get(claim.uid) === incarnation() || isUsed(namespace, name)) continue;
        await release(object);
      }
    },
  };
}

/** The volumes of a pod that are of claims. */
export function claimsIn({ volumes = [] }: PodSpec): readonly {
  readonly name: string;
  readonly claimName: string;
}[] {
  return volumes.flatMap(({ name, persistentVolumeClaim: source }) =>
    typeof source?.claimName === 'string' ? [{ name, claimName: source.claimName }] : [],
  );
}

/** Undefined where the data is not this node's to keep. */
function knownClaim(object: StoredObject, nodeName: string): KnownClaim | undefined {
  const intent = facetOf(object, 'intent') ?? {};
  if (facetOf(object, 'assignment')?.['nodeName'] !== nodeName) return undefined;
  const { metadata, spec } = intent;
  return {
    uid: object.uid,
    isDeleting: isJsonObject(metadata) && typeof metadata['deletionTimestamp'] === 'string',
    isReleased: facetOf(object, 'report')?.['isReleased'] === true,
    sizeBytes: isJsonObject(spec) ? claimBytesOf(spec) : undefined,
  };
}

/** Volumes of pods as programs see them; in words they are in pod-volumes.ts. */
import type { FieldReference, ResourceFieldReference } from './pod-types.ts';

export type VolumeMount = {
  name: string;
  mountPath: string;
  /** What of the volume is shown, instead of all of it. */
  subPath?: string;
  readOnly?: boolean;
  mountPropagation?: string;
};

/** One key of an object as one file. */
export type KeyToPath = { key: string; path: string; mode?: number };

export type DownwardFile = {
  path: string;
  fieldRef?: FieldReference;
  resourceFieldRef?: ResourceFieldReference;
  mode?: number;
};

export type VolumeProjection = {
  configMap?: { name?: string; items?: KeyToPath[]; optional?: boolean };
  secret?: { name?: string; items?: KeyToPath[]; optional?: boolean };
  downwardAPI?: { items?: DownwardFile[] };
  serviceAccountToken?: TokenProjection;
};

/** A token of the pod's ServiceAccount as a file. */
export type TokenProjection = { path: string; audience?: string; expirationSeconds?: number };

/** One of these; modes are those of POSIX as a number (420 is 0644). */
export type VolumeSource = {
  emptyDir?: { medium?: string; sizeLimit?: string | number };
  configMap?: { name?: string; items?: KeyToPath[]; defaultMode?: number; optional?: boolean };
  secret?: { secretName?: string; items?: KeyToPath[]; defaultMode?: number; optional?: boolean };
  projected?: { sources?: VolumeProjection[]; defaultMode?: number };
  downwardAPI?: { items?: DownwardFile[]; defaultMode?: number };
  hostPath?: { path: string; type?: string };
  persistentVolumeClaim?: { claimName: string; readOnly?: boolean };
};

export type Volume = { name: string } & VolumeSource;

export const volumeSources = [
  'emptyDir',
  'configMap',
  'secret',
  'projected',
  'downwardAPI',
  'hostPath',
  'persistentVolumeClaim',
] as const satisfies readonly (keyof VolumeSource)[];

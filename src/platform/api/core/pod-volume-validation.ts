/**
 * What a schema cannot say about volumes and mounts. Paths are looked at by their
 * words alone; that no link leads out of a volume is seen to by the node.
 */
import type { FieldError } from '../definition.ts';
import { fieldDuplicate, fieldForbidden, fieldInvalid, fieldRequired } from '../field-errors.ts';
import { validateDivisor, validateFieldReference } from './pod-environment-validation.ts';
import {
  type DownwardFile,
  type KeyToPath,
  type Volume,
  type VolumeMount,
  type VolumeProjection,
  volumeSources,
} from './pod-volume-types.ts';

/** What a container's root holds for the program itself; nothing may be put over it. */
const reservedPaths = ['/proc', '/dev', '/sys', '/runtime', '/bin', '/lib', '/lib64', '/usr/lib'];

export function validateVolumes(
  volumes: readonly Volume[],
  containerNames: readonly string[],
  field: string,
): FieldError[] {
  return volumes.flatMap((volume, position) => {
    const path = `${field}[${position}]`;
    const given = volumeSources.filter((source) => volume[source] !== undefined);
    const more = given
      .slice(1)
      .map((name) => fieldForbidden(`${path}.${name}`, `may not have more than one source`));
    return [...more, ...validateSource(volume, containerNames, path)];
  });
}

function validateSource(
  volume: Volume,
  containerNames: readonly string[],
  path: string,
): FieldError[] {
  const { emptyDir, configMap, secret, projected, downwardAPI, hostPath } = volume;
  const errors: FieldError[] = [];
  if (String(emptyDir?.sizeLimit ?? '0').startsWith('-')) {
    errors.push(
      fieldInvalid(
        `${path}.emptyDir.sizeLimit`,
        emptyDir?.sizeLimit,
        'must be greater than or equal to 0',
      ),
    );
  }
  errors.push(
    ...validateItems(configMap?.items ?? [], `${path}.configMap.items`),
    ...validateItems(secret?.items ?? [], `${path}.secret.items`),
    ...validateDownward(downwardAPI?.items ?? [], containerNames, `${path}.downwardAPI.items`),
    ...validateProjections(projected?.sources ?? [], containerNames, `${path}.projected.sources`),
  );
  if (hostPath !== undefined && !isCleanAbsolutePath(hostPath.path)) {
    errors.push(
      fieldInvalid(
        `${path}.hostPath.path`,
        hostPath.path,
        'must be an absolute path without . and ..',
      ),
    );
  }
  return errors;
}

function validateProjections(
  sources: readonly VolumeProjection[],
  containerNames: readonly string[],
  field: string,
): FieldError[] {
  const errors: FieldError[] = [];
  const paths = new Set<string>();
  for (const [position, source] of sources.entries()) {
    const at = `${field}[${position}]`;
    const given = Object.keys(source);
    if (given.length !== 1) {
      errors.push(
        fieldRequired(
          at,
          'must have exactly one of configMap, secret, downwardAPI, serviceAccountToken',
        ),
      );
    }
    const { configMap, secret, downwardAPI, serviceAccountToken } = source;
    const token = serviceAccountToken === undefined ? [] : [serviceAccountToken];
    errors.push(
      ...validateItems(configMap?.items ?? [], `${at}.configMap.items`),
      ...validateItems(secret?.items ?? [], `${at}.secret.items`),
      ...validateDownward(downwardAPI?.items ?? [], containerNames, `${at}.downwardAPI.items`),
      ...token.flatMap(({ path }) => validateFilePath(path, `${at}.serviceAccountToken.path`)),
    );
    const files = [configMap, secret, downwardAPI]
      .flatMap((one): { path: string }[] => one?.items ?? [])
      .concat(token);
    for (const { path } of files) {
      if (paths.has(path)) errors.push(fieldDuplicate(`${at}.${given[0]}.items`, path));
    }
    for (const { path } of files) paths.add(path);
  }
  return errors;
}

function validateItems(items: readonly KeyToPath[], field: string): FieldError[] {
  return [
    ...items.flatMap(({ path }, position) => validateFilePath(path, `${field}[${position}].path`)),
    ...collisions(items, field),
  ];
}

function validateDownward(
  items: readonly DownwardFile[],
  containerNames: readonly string[],
  field: string,
): FieldError[] {
  const errors = collisions(items, field);
  for (const [position, item] of items.entries()) {
    const at = `${field}[${position}]`;
    errors.push(...validateFilePath(item.path, `${at}.path`));
    const { fieldRef, resourceFieldRef } = item;
    if ((fieldRef === undefined) === (resourceFieldRef === undefined)) {
      errors.push(fieldRequired(at, 'must have exactly one of fieldRef, resourceFieldRef'));
    }
    if (fieldRef !== undefined) {
      errors.push(...validateFieldReference(fieldRef, 'file', `${at}.fieldRef`));
    }
    if (resourceFieldRef === undefined) continue;
    errors.push(...validateDivisor(resourceFieldRef, `${at}.resourceFieldRef`));
    const name = resourceFieldRef.containerName;
    if (name === undefined || !containerNames.includes(name)) {
      errors.push(
        fieldInvalid(
          `${at}.resourceFieldRef.containerName`,
          name ?? '',
          'must name a container of the pod',
        ),
      );
    }
  }
  return errors;
}

/** A file cannot also be a folder, and not be there twice. */
function collisions(items: readonly { readonly path: string }[], field: string): FieldError[] {
  const paths = items.map(({ path }) => path);
  return paths.flatMap((path, position) => {
    const isTaken = paths.some(
      (other, at) => (at < position && other === path) || other.startsWith(`${path}/`),
    );
    return isTaken ? [fieldDuplicate(`${field}[${position}].path`, path)] : [];
  });
}

/** Relative, of names alone, and nothing that the node keeps for its own links. */
function validateFilePath(path: string, field: string): FieldError[] {
  const isOwn = path.startsWith('..');
  return isRelativePath(path) && !isOwn
    ? []
    : [fieldInvalid(field, path, "must be a relative path without '..' (such as app/config.json)")];
}

/** A path of the API that stays where it is put: `a/b`. */
function isRelativePath(path: string): boolean {
  return (
    path !== '' &&
    !path.includes('\0') &&
    path.split('/').every((part) => part !== '' && part !== '.' && part !== '..')
  );
}

/** Absolute, and no part of it leads back. */
export function isCleanAbsolutePath(path: string): boolean {
  return (
    path.startsWith('/') &&
    !path.includes('\0') &&
    path.split('/').every((part) => part !== '.' && part !== '..')
  );
}

export function validateMounts(
  mounts: readonly VolumeMount[],
  volumes: readonly Volume[],
  field: string,
): FieldError[] {
  return mounts.flatMap((mount, position) => {
    const path = `${field}[${position}]`;
    const errors: FieldError[] = [];
    if (!volumes.some((volume) => volume.name === mount.name)) {
      errors.push({
        field: `${path}.name`,
        reason: 'FieldValueInvalid',
        message: `Not found: ${JSON.stringify(mount.name)}: the pod has no such volume`,
      });
    }
    const problem = mountPathProblem(mount.mountPath);
    if (problem !== undefined) {
      errors.push(fieldInvalid(`${path}.mountPath`, mount.mountPath, problem));
    }
    const { subPath = '' } = mount;
    if (subPath !== '' && !isRelativePath(subPath.replace(/\/$/, ''))) {
      errors.push(fieldInvalid(`${path}.subPath`, subPath, "must be a relative path without '..'"));
    }
    return errors;
  });
}

function mountPathProblem(path: string): string | undefined {
  if (!isCleanAbsolutePath(path)) return 'must be an absolute path without . and ..';
  if (/[:\n]/.test(path)) return "must not contain ':' or a line feed";
  const clean = path.replaceAll(/\/+/g, '/').replace(/\/$/, '');
  if (clean === '' || clean === '/app') return 'must be below / and not the image itself';
  const reserved = reservedPaths.find(
    (taken) => clean === taken || clean.startsWith(`${taken}/`) || taken.startsWith(`${clean}/`),
  );
  return reserved === undefined
    ? undefined
    : `${reserved} belongs to the node: choose another path (such as /data or /etc/config)`;
}

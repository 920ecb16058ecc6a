/**
 * What on the agent's disk cannot be read is moved aside, told of, and made anew
 * from what else is known: a damaged file must not keep an agent from starting,
 * and is kept for whoever wants to know what happened.
 */
import { AssertionFailure, SelvageError, errorText } from '#base/mod.ts';
import { DiskError, type Disk, type Logger } from '#platform/io/mod.ts';

/** Of one file; what was moved first goes when there are more. */
export const damagedKeptMax = 3;

/** Renames `path` to `<path>.damaged-N`, the highest N being the newest. */
export async function setAside(
  disk: Disk,
  path: string,
  logger: Logger,
  why: string,
): Promise<void> {
  const parent = path.includes('/') ? path.slice(0, path.lastIndexOf('/')) : '';
  const there = new Set((await disk.list(parent)).map(({ name }) => name));
  const nameOf = (number: number): string => `${path}.damaged-${number}`;
  const isThere = (number: number): boolean =>
    there.has(nameOf(number).slice(parent === '' ? 0 : parent.length + 1));
  let free = 1;
  while (free <= damagedKeptMax && isThere(free)) free += 1;
  if (free > damagedKeptMax) {
    await disk.remove(nameOf(1));
    for (let number = 2; number <= damagedKeptMax; number += 1) {
      await disk.rename(nameOf(number), nameOf(number - 1));
    }
    free = damagedKeptMax;
  }
  await disk.rename(path, nameOf(free));
  logger.log('error', 'state on disk is damaged and was set aside', {
    path: disk.absolute(path),
    as: disk.absolute(nameOf(free)),
    why,
  });
}

/** Whether an error says that what was read is not what was written. */
export function isDamage(error: unknown): boolean {
  if (error instanceof AssertionFailure || error instanceof SyntaxError) return true;
  return (
    error instanceof SelvageError &&
    (error.code === 'LOG_DAMAGED' || error.code.startsWith('SYNC_'))
  );
}

/**
 * A small file that is written whole: parsed, or undefined where there is none. What
 * `parse` throws at, or answers with undefined, is set aside.
 */
export async function readOrSetAside<T>(
  disk: Disk,
  path: string,
  bytesMax: number,
  logger: Logger,
  parse: (bytes: Uint8Array) => T | undefined,
): Promise<T | undefined> {
  let why = 'it has not the shape of one';
  try {
    const bytes = await disk.readFile(path, bytesMax);
    if (bytes === undefined) return undefined;
    const value = parse(bytes);
    if (value !== undefined) return value;
  } catch (error) {
    const isUnreadable = error instanceof DiskError && error.code === 'DISK_IO';
    if (!isUnreadable && !isDamage(error)) throw error;
    why = errorText(error);
  }
  await setAside(disk, path, logger, why);
  return undefined;
}

/** Opens what lives in `folder`; where that is damaged it is set aside and opened anew, empty. */
export async function openOrSetAside<T>(
  disk: Disk,
  folder: string,
  logger: Logger,
  open: (within: Disk) => Promise<T>,
): Promise<{ readonly opened: T; readonly wasDamaged: boolean }> {
  await disk.makeDirectory(folder);
  try {
    return { opened: await open(disk.within(folder)), wasDamaged: false };
  } catch (error) {
    if (!isDamage(error)) throw error;
    await setAside(disk, folder, logger, errorText(error));
  }
  await disk.makeDirectory(folder);
  return { opened: await open(disk.within(folder)), wasDamaged: true };
}

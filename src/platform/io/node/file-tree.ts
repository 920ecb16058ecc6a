/**
 * This machine's files and folders as a FileTree. What may be deep or large, because
 * a workload made it, is left to the machine's own programs: they go through it
 * without names of whole paths, and outside of this process.
 */
import { execFile } from 'node:child_process';
import { constants, promises as fs } from 'node:fs';
import { dirname } from 'node:path';
import { assert, errorText } from '#base/mod.ts';
import { FileTreeError, type FileAccess, type FileKind, type FileTree } from '../file-tree.ts';

const programTimeoutMs = 120_000;
const programOutputBytesMax = 1024 * 1024;
const environment = { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', LC_ALL: 'C' };

export function createNodeFileTree(): FileTree {
  return {
    kindOf,
    async names(path) {
      return ((await unlessAbsent(path, () => fs.readdir(path))) ?? []).toSorted();
    },
    readFile: (path, maxBytes) =>
      unlessAbsent(path, async () => {
        const file = await fs.open(path, constants.O_RDONLY | constants.O_NOFOLLOW);
        try {
          const { size } = await file.stat();
          return size > maxBytes ? undefined : new Uint8Array(await file.readFile());
        } finally {
          await file.close();
        }
      }),
    readLink: (path) => unlessAbsent(path, () => fs.readlink(path)),
    createFile: (path, bytes, access) =>
      system(path, async () => {
        const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL;
        const file = await fs.open(path, flags | constants.O_NOFOLLOW, 0o600);
        try {
          await file.writeFile(bytes);
          if (access.ownerId !== undefined) await file.chown(access.ownerId, access.ownerId);
          await file.chmod(access.mode);
        } finally {
          await file.close();
        }
      }),
    makeFolder: (path, access) => system(path, () => makeFolder(path, access)),
    giveTo: (path, ownerId) =>
      system(path, async () => {
        const { uid, gid } = await fs.lstat(path);
        if (uid === ownerId && gid === ownerId) return;
        const owner = `${ownerId}:${ownerId}`;
        // The folder itself is last: what is interrupted before is done again.
        const below = ['-xdev', '-mindepth', '1', '-execdir', 'chown', '-h', owner, '{}', '+'];
        await run('find', [path, ...below]);
        await fs.lchown(path, ownerId, ownerId);
      }),
    makeLink: (path, target) => system(path, () => fs.symlink(target, path)),
    rename: (from, to) => system(from, () => fs.rename(from, to)),
    async remove(path) {
      const kind = await kindOf(path);
      if (kind === undefined) return;
      if (kind !== 'directory') return system(path, () => fs.unlink(path));
      await releaseMemory(path);
      await run('rm', ['-rf', '--one-file-system', '--', path]);
    },
    async diskBytes(paths) {
      const sizes: number[] = [];
      for (const path of paths) {
        const kind = await kindOf(path);
        sizes.push(kind === undefined ? 0 : await usedBytes(path));
      }
      return sizes;
    },
    isMemory: (path) => system(path, () => isMountPoint(path)),
    async mountMemory(path, sizeBytes, { mode, ownerId = 0 }) {
      assert(Number.isSafeInteger(sizeBytes) && sizeBytes > 0, 'memory has a size');
      const access = `mode=0${mode.toString(8)},uid=${ownerId},gid=${ownerId}`;
      const options = `size=${sizeBytes},nr_inodes=65536,nosuid,nodev,noexec,${access}`;
      await run('mount', ['-t', 'tmpfs', '-o', options, 'selvage', path]);
    },
    releaseMemory,
  };
}

async function kindOf(path: string): Promise<FileKind | undefined> {
  const found = await unlessAbsent(path, () => fs.lstat(path));
  if (found === undefined) return undefined;
  if (found.isFile()) return 'file';
  if (found.isDirectory()) return 'directory';
  return found.isSymbolicLink() ? 'link' : 'other';
}

async function makeFolder(path: string, { mode, ownerId }: FileAccess): Promise<void> {
  await fs.mkdir(path, 0o700).catch((thrown: unknown) => {
    if (codeOf(thrown) !== 'EEXIST') throw thrown;
  });
  const flags = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW;
  const folder = await fs.open(path, flags);
  try {
    if (ownerId !== undefined) await folder.chown(ownerId, ownerId);
    await folder.chmod(mode);
  } finally {
    await folder.close();
  }
}

async function isMountPoint(path: string): Promise<boolean> {
  const found = await fs.lstat(path).catch(() => undefined);
  if (found === undefined || !found.isDirectory()) return false;
  return found.dev !== (await fs.lstat(dirname(path))).dev;
}

/**
 * Gives the memory back now: processes of other pods may hold the mount itself for
 * as long as they live.
 */
export async function releaseMemory(path: string): Promise<void> {
  const points = (await mountPoints()).filter(
    (point) => point === path || point.startsWith(`${path}/`),
  );
  for (const point of points.toSorted().toReversed()) {
    await run('find', [point, '-xdev', '-mindepth', '1', '-delete']);
    await run('umount', ['-l', '--', point]);
  }
}

async function mountPoints(): Promise<readonly string[]> {
  const lines = (await fs.readFile('/proc/self/mountinfo', 'utf8')).trimEnd().split('\n');
  return lines.map((line) =>
    // Octal for what would end a word.
    (line.split(' ')[4] ?? '').replaceAll(/\\([0-7]{3})/g, (_, digits: string) =>
      String.fromCharCode(Number.parseInt(digits, 8)),
    ),
  );
}

async function usedBytes(path: string): Promise<number> {
  const output = await run('du', ['-s', '-x', '-B1', '--', path], true);
  const bytes = Number(/^([0-9]+)/.exec(output)?.[1]);
  if (!Number.isSafeInteger(bytes))
    throw new FileTreeError('FILE_TREE_IO', `${path}: not measured`);
  return bytes;
}

/** `isLoose`: files that go while it looks are no failure. */
function run(program: string, words: readonly string[], isLoose = false): Promise<string> {
  return new Promise((resolve, reject) => {
    execFile(
      program,
      words,
      {
        env: environment,
        timeout: programTimeoutMs,
        killSignal: 'SIGKILL',
        maxBuffer: programOutputBytesMax,
      },
      (error, stdout, stderr) => {
        if (error === null || (isLoose && stdout !== '')) resolve(stdout);
        else {
          const text = `${program}: ${stderr.trim().slice(0, 300) || errorText(error)}`;
          reject(new FileTreeError('FILE_TREE_IO', text, { cause: error }));
        }
      },
    );
  });
}

function codeOf(thrown: unknown): string {
  return thrown instanceof Error && 'code' in thrown ? String(thrown.code) : '';
}

const absent = ['ENOENT', 'ENOTDIR', 'EINVAL', 'ELOOP'];

async function unlessAbsent<Result>(
  path: string,
  call: () => Promise<Result>,
): Promise<Result | undefined> {
  try {
    return await call();
  } catch (thrown) {
    if (absent.includes(codeOf(thrown))) return undefined;
    throw failureOf(path, thrown);
  }
}

async function system<Result>(path: string, call: () => Promise<Result>): Promise<Result> {
  try {
    return await call();
  } catch (thrown) {
    throw failureOf(path, thrown);
  }
}

function failureOf(path: string, thrown: unknown): FileTreeError {
  if (thrown instanceof FileTreeError) return thrown;
  const code = codeOf(thrown);
  const known = code === 'ENOSPC' || code === 'EDQUOT' ? 'FILE_TREE_NO_SPACE' : 'FILE_TREE_IO';
  return new FileTreeError(known, `${path}: ${errorText(thrown)}`, { cause: thrown });
}

/**
 * Keeps a state folder to one process.
 *
 * The kernel holds the lock (flock) for as long as the descriptor is open, so it is
 * gone with the process however that ends, and nobody has to mend anything after a
 * `kill -9` or a power cut. Node has no call for it: the system's own `flock`
 * program locks the descriptor that it inherits from us, and ends; the lock stays
 * with us, since it belongs to the open file and not to a process. No child of ours
 * gets the descriptor by itself, so none that outlives us keeps the folder.
 *
 * What the file says is only for people: who has it.
 */
import { spawnSync } from 'node:child_process';
import { closeSync, ftruncateSync, mkdirSync, openSync, readFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { SelvageError } from '#base/mod.ts';
import { sleep, type Timers } from '../clock.ts';

const lockName = 'lock';
/** One that was just killed needs a moment to be gone. */
const attemptsMax = 20;
const attemptPauseMs = 100;
const folderMode = 0o700;
const fileMode = 0o600;
/** What `flock -n` answers when somebody else has the lock. */
const statusLocked = 1;

export interface FolderLock {
  release(): void;
}

/**
 * Takes the folder, made where it is missing, for this process until it ends.
 * `holder` says in plain words who takes it, e.g. `the server`. Throws
 * FOLDER_LOCKED with the one who has it.
 */
export async function lockFolder(
  folder: string,
  holder: string,
  timers: Timers,
): Promise<FolderLock> {
  mkdirSync(folder, { recursive: true, mode: folderMode });
  const path = join(folder, lockName);
  const descriptor = openSync(path, 'a+', fileMode);
  try {
    for (let attempt = 1; !isTaken(descriptor); attempt += 1) {
      if (attempt === attemptsMax) {
        const owner = readFileSync(path, 'utf8').trim();
        throw new SelvageError(
          'FOLDER_LOCKED',
          `${folder} is in use by ${owner === '' ? 'another process' : owner}: ` +
            'one state folder serves one process. Stop that one, or name another folder with --state',
        );
      }
      await sleep(timers, attemptPauseMs);
    }
    nameHolder(descriptor, holder);
  } catch (thrown) {
    closeSync(descriptor);
    throw thrown;
  }
  return { release: () => closeSync(descriptor) };
}

function nameHolder(descriptor: number, holder: string): void {
  try {
    ftruncateSync(descriptor, 0);
    writeSync(descriptor, `${holder}, pid ${process.pid}\n`);
  } catch {
    // A full disk must not keep a server from its reads: the lock holds without words.
  }
}

/** True when the lock is ours now, false when somebody else has it. */
function isTaken(descriptor: number): boolean {
  const inherited = 3;
  const result = spawnSync('flock', ['-n', String(inherited)], {
    stdio: ['ignore', 'ignore', 'pipe', descriptor],
    encoding: 'utf8',
  });
  if (result.status === 0) return true;
  if (result.status === statusLocked) return false;
  const reason = result.error?.message ?? `${result.stderr} (status ${result.status})`;
  throw new SelvageError(
    'FOLDER_LOCK_FAILED',
    `the state folder cannot be locked: the program flock of util-linux answered ${reason}`,
  );
}

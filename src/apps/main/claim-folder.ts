/** A state folder has one process: a second one says who holds it and ends with 1. */
import { CommandFailure } from '#apps/cli/mod.ts';
import { SelvageError } from '#base/mod.ts';
import { createNodeTimers, lockFolder } from '#platform/io/node/mod.ts';

/** Claims the folder until this process ends, however it ends. `holder` is e.g. `the server`. */
export async function claimFolder(folder: string, holder: string): Promise<void> {
  try {
    await lockFolder(folder, holder, createNodeTimers());
  } catch (error) {
    if (error instanceof SelvageError) throw new CommandFailure(error.message);
    throw error;
  }
}

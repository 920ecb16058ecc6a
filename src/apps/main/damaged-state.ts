/** A server does not start on state that is not what it acknowledged: it says where, and what to do. */
import { CommandFailure } from '#apps/cli/mod.ts';
import { SelvageError } from '#base/mod.ts';

/** The error as a person at the command line needs it; others come back as they are. */
export function explainDamage(error: unknown): unknown {
  if (!(error instanceof SelvageError) || error.code !== 'LOG_DAMAGED') return error;
  return new CommandFailure(
    `${error.message}.\n` +
      'The server does not start on state that may lack what it acknowledged. Nothing was changed. ' +
      'Check the disk, and put the state folder back from a backup or from a good copy of the disk.',
  );
}

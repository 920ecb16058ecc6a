/** A request of the typed client, with words for people where nothing answers. */
import { StatusError } from '#platform/api/mod.ts';
import type { ApiAccess } from './api-access.ts';
import { CommandFailure, exitCodes } from './context.ts';

/** What the server refuses ends the command with its words; silence with exit code 3. */
export async function reachable<Answer>(
  access: ApiAccess,
  answer: Promise<Answer>,
): Promise<Answer> {
  try {
    return await answer;
  } catch (error) {
    if (error instanceof StatusError)
      throw new CommandFailure(`${error.message}.`.replace('..', '.'));
    const { host, port } = access.address;
    const words = error instanceof Error ? error.message : String(error);
    throw new CommandFailure(
      `the server at ${host}:${port} does not answer (${words}).`,
      exitCodes.unreachable,
    );
  }
}

/** Composition root of a front of the API: a process that the server has started. */
import { runApiFront } from '#apps/assembly/mod.ts';
import { CommandFailure, type ExitCode, exitCodes } from '#apps/cli/mod.ts';
import {
  createNodeClock,
  createNodeHttpServer,
  createNodeRandom,
  createNodeTimers,
  createStreamLogger,
  inheritedConnection,
} from '#platform/io/node/mod.ts';

/** Serves until its server ends it, or is gone itself. */
export async function runFrontProcess(): Promise<ExitCode> {
  const connection = inheritedConnection();
  if (connection === undefined) {
    throw new CommandFailure(
      "api-front is started by 'selvage server --api-fronts COUNT' and by nobody else.",
      exitCodes.usage,
    );
  }
  // Ctrl-C of a terminal reaches all of its processes: this one ends when its server does.
  for (const signal of ['SIGINT', 'SIGHUP'] as const) process.on(signal, () => undefined);
  const logger = createStreamLogger((line) => void process.stdout.write(line), 'info').with({
    role: 'api-front',
  });
  const why = await runApiFront({
    connection,
    clock: createNodeClock(),
    timers: createNodeTimers(),
    random: createNodeRandom(),
    httpServer: createNodeHttpServer(logger),
    logger,
  });
  logger.log('info', 'a front of the API ends', { why });
  return exitCodes.ok;
}

/**
 * The HTTP server of http-server.ts, loaded with the first `listen`: an agent that
 * serves nothing does without Node's HTTP altogether.
 */
import type { HttpServer } from '../http.ts';
import { type Logger, silentLogger } from '../log-sink.ts';

export function createNodeHttpServer(logger: Logger = silentLogger): HttpServer {
  return {
    async listen(options, handler) {
      const loaded = await import('./http-server.ts');
      return await loaded.createNodeHttpServer(logger).listen(options, handler);
    },
  };
}

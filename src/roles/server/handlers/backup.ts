/** POST …/backups: streams a backup of the whole server to an administrator. */
import { errorText } from '#base/mod.ts';
import { StatusError } from '#platform/api/mod.ts';
import type { ByteSink, Logger } from '#platform/io/mod.ts';
import type { RouteHandler } from '../route-table.ts';
import { fieldsOf } from './small-body.ts';

const unsentBytesMax = 1024 * 1024;

/** Begins one backup and answers its bytes; what fails in the middle is thrown there. */
export type BackupSource = () => AsyncIterable<Uint8Array>;

/** One backup at a time: each reads the whole disk. */
export function backupHandler(source: BackupSource, logger: Logger): RouteHandler {
  let isUnderWay = false;
  return async ({ request }) => {
    await fieldsOf(request, []);
    if (isUnderWay) {
      throw new StatusError('TooManyRequests', 'another backup is under way: try again after it', {
        retryAfterSeconds: 5,
      });
    }
    return {
      status: 200,
      headers: { 'content-type': 'application/octet-stream', 'cache-control': 'no-store' },
      body: (sink) => {
        isUnderWay = true;
        send(source(), sink)
          .catch((error: unknown) => {
            logger.log('error', 'a backup failed', { error: errorText(error) });
            // The archive has no end then, and the connection none in order.
            sink.destroy();
          })
          .finally(() => {
            isUnderWay = false;
          });
      },
    };
  };
}

async function send(source: AsyncIterable<Uint8Array>, sink: ByteSink): Promise<void> {
  const state = { isClosed: false };
  let wake = (): void => {};
  sink.onClose(() => {
    state.isClosed = true;
    wake();
  });
  sink.onDrain(() => wake());
  for await (const bytes of source) {
    if (state.isClosed) return;
    sink.write(bytes);
    while (!state.isClosed && sink.bufferedBytes() > unsentBytesMax) {
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
  }
  if (!state.isClosed) sink.end();
}

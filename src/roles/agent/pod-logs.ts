/** Serves `pod.logs`: a container's log from its file, from the last lines on, and as it grows. */
import { assert, errorText } from '#base/mod.ts';
import { DiskError, sleep, type Disk, type DiskFile, type Timers } from '#platform/io/mod.ts';
import type { LinkStream } from '#platform/wire/mod.ts';
import type { RuntimeSet } from './runtimes/runtime-set.ts';

export interface PodLogsDependencies {
  readonly disk: Disk;
  readonly timers: Timers;
  readonly runtime: Pick<RuntimeSet, 'get' | 'logPath'>;
  readonly hasPod: (uid: string) => boolean;
}

const messageBytesMax = 64 * 1024;
const followPollMs = 200;
const followersMax = 64;
const tailLinesMax = 1_000_000;

/** A handler of the streams that the hub opens; `failure` codes as in the link's protocol. */
export function createPodLogs(
  dependencies: PodLogsDependencies,
): (parameters: Readonly<Record<string, unknown>>, stream: LinkStream) => void {
  const { disk, timers, runtime, hasPod } = dependencies;
  let followers = 0;

  async function serve(
    parameters: Readonly<Record<string, unknown>>,
    stream: LinkStream,
    isOpen: () => boolean,
  ): Promise<void> {
    const { podUid, container, follow, tailLines } = parameters;
    if (typeof podUid !== 'string' || !hasPod(podUid)) {
      stream.fail({ code: 'POD_NOT_FOUND', message: 'this node does not have that pod' });
      return;
    }
    const key = { podUid, container: String(container) };
    const run = runtime.get(key);
    if (run === undefined) {
      const message = `container ${JSON.stringify(container)} has not started yet`;
      stream.fail({ code: 'CONTAINER_NOT_FOUND', message });
      return;
    }
    const file = await disk.open(runtime.logPath(key), 'read');
    try {
      const isTail = typeof tailLines === 'number' && tailLines >= 0;
      let offset = isTail ? await tailOffset(file, Math.min(tailLines, tailLinesMax)) : 0;
      while (isOpen()) {
        // Asked before reading: what was written before the end is then read too.
        const now = runtime.get(key);
        const isOver = now?.containerId !== run.containerId || now.exit !== undefined;
        const bytes = await file.readAt(offset, messageBytesMax);
        offset += bytes.length;
        if (bytes.length > 0) await stream.send(bytes);
        else if (follow !== true || isOver) break;
        else await sleep(timers, followPollMs);
      }
      if (isOpen()) stream.end();
    } finally {
      await file.close();
    }
  }

  return (parameters, stream) => {
    let isOpen = true;
    stream.onMessage(() => {});
    stream.onClose(() => {
      isOpen = false;
    });
    if (followers >= followersMax) {
      const message = `at most ${followersMax} logs are read at a time`;
      stream.fail({ code: 'LOGS_BUSY', message });
      return;
    }
    followers += 1;
    serve(parameters, stream, () => isOpen)
      .catch((error: unknown) => {
        if (!isOpen) return;
        const code = error instanceof DiskError ? error.code : 'LOGS_FAILED';
        stream.fail({ code, message: errorText(error) });
      })
      .finally(() => {
        followers -= 1;
      });
  };
}

/** Where the last `lines` lines begin. A line that is not yet ended counts as one. */
export async function tailOffset(file: DiskFile, lines: number): Promise<number> {
  assert(Number.isFinite(lines), 'a count of lines');
  let end = await file.sizeBytes();
  if (lines <= 0) return end;
  let wanted = Math.floor(lines);
  const size = end;
  while (end > 0) {
    const start = Math.max(0, end - messageBytesMax);
    const bytes = await file.readAt(start, end - start);
    for (let at = bytes.length - 1; at >= 0; at -= 1) {
      if (bytes[at] !== 0x0a || start + at === size - 1) continue;
      wanted -= 1;
      if (wanted === 0) return start + at + 1;
    }
    end = start;
  }
  return 0;
}

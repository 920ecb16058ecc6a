/** Logs of containers, streamed from the agent that has them. */
import type { Timers } from '#platform/io/mod.ts';
import type { Sessions } from './sessions.ts';
import type { Hub } from './types.ts';

export function createPodLogs(sessions: Sessions, timers: Timers): Hub['podLogs'] {
  return {
    open(nodeName, request, listener) {
      const session = sessions.session(nodeName);
      if (session === undefined) {
        const timer = timers.after(0, () => {
          listener.onEnd({
            code: 'NODE_UNREACHABLE',
            message: `node ${nodeName} is not connected, and the logs are there; try again when it is Ready`,
          });
        });
        return { close: () => timer.cancel(), pause() {}, resume() {} };
      }
      const { podUid, container, follow, tailLines, previous, sinceAgeMs, timestamps } = request;
      const stream = session.open('telemetry', 'pod.logs', {
        podUid,
        container,
        follow,
        ...(tailLines === undefined ? {} : { tailLines }),
        ...(previous === true ? { previous } : {}),
        ...(sinceAgeMs === undefined ? {} : { sinceAgeMs }),
        ...(timestamps === true ? { timestamps } : {}),
      });
      let isClosed = false;
      let resumed: Promise<void> | undefined;
      let wake = (): void => {};
      stream.onMessage((bytes) => {
        if (isClosed) return undefined;
        listener.onBytes(bytes);
        // Credit goes back to the agent only when the reader takes more.
        return resumed;
      });
      stream.onClose((failure) => {
        if (isClosed) return;
        isClosed = true;
        listener.onEnd(failure);
      });
      stream.end();
      return {
        close() {
          if (isClosed) return;
          isClosed = true;
          wake();
          stream.fail({ code: 'LOG_CLOSED', message: 'the reader has gone away' });
        },
        pause() {
          resumed ??= new Promise((resolve) => {
            wake = resolve;
          });
        },
        resume() {
          resumed = undefined;
          wake();
        },
      };
    },
  };
}

/** Streams to containers, carried on the link to the agent that has them. */
import type { Timers } from '#platform/io/mod.ts';
import type { Sessions } from './sessions.ts';
import type { PodStream, PodStreams } from './types.ts';

export function createPodStreams(sessions: Sessions, timers: Timers): PodStreams {
  return {
    open(nodeName, method, parameters) {
      const session = sessions.session(nodeName);
      if (session !== undefined) return session.open('telemetry', method, parameters);
      return unreachable(nodeName, timers);
    },
  };
}

function unreachable(nodeName: string, timers: Timers): PodStream {
  const failure = {
    code: 'NODE_UNREACHABLE',
    message: `node ${nodeName} is not connected, and the pod is there; try again when it is Ready`,
  };
  let isFailed = false;
  return {
    send: () => Promise.resolve(),
    end() {},
    fail() {
      isFailed = true;
    },
    onMessage() {},
    onClose(listener) {
      timers.after(0, () => {
        if (!isFailed) listener(failure);
      });
    },
  };
}

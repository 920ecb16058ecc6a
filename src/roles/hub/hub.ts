/**
 * The hub: owns the nodes of its slice of the fleet. It holds their sessions,
 * gives pods their nodes, takes in what agents report, concludes which nodes are
 * there, and lets go of pods that have ended.
 */
import { assert } from '#base/mod.ts';
import type { CommittedBatch } from '#platform/store/mod.ts';
import { comeBackWithinMsMax, type LinkSession } from '#platform/wire/mod.ts';
import { fetchCopy } from './copies.ts';
import { createEventReports } from './event-reports.ts';
import { NodePods } from './node-pods.ts';
import { OutboxCursors } from './outbox-cursors.ts';
import { createPodLogs } from './pod-logs.ts';
import { createPodStreams } from './pod-streams.ts';
import { Reports } from './reports.ts';
import { Scheduling } from './scheduling.ts';
import { Sessions } from './sessions.ts';
import { Terminations } from './terminations.ts';
import type { Hub, HubDependencies, HubOptions } from './types.ts';
import { createUsage } from './usage.ts';
import { Verdicts } from './verdicts.ts';

const heartbeatIntervalMsDefault = 2_000;
const heartbeatsMissedMax = 3;
/** In heartbeats: so long after its last one a node is there without doubt. */
const freshHeartbeats = 1.5;
/** An attempt takes its time too. */
const reconnectWithinMs = comeBackWithinMsMax + 1_000;

export function createHub(dependencies: HubDependencies, options: HubOptions = {}): Hub {
  const { store, client, clock, timers, random, logger, blobs, images, definitions } = dependencies;
  const heartbeatIntervalMs = options.heartbeatIntervalMs ?? heartbeatIntervalMsDefault;
  const nodeDefinition = definitions.find(({ kind, group }) => kind === 'Node' && group === '');
  assert(nodeDefinition !== undefined, 'a hub knows the kind Node');

  const events = createEventReports(client, clock);
  const verdicts = new Verdicts(
    { store, clock, timers, logger, events, sessions: () => sessions },
    {
      nodeLostAfterMs: options.nodeLostAfterMs ?? heartbeatIntervalMs * heartbeatsMissedMax,
      firstHeardWithinMs: reconnectWithinMs,
    },
  );
  const onAlive = (nodeName: string): void => verdicts.look(nodeName);
  const reports = new Reports({
    store,
    random,
    clock,
    logger,
    events,
    onNodeReport: onAlive,
  });
  const sessions = new Sessions({
    store,
    clock,
    timers,
    logger,
    blobs,
    reports,
    product: options.product ?? 'selvage-hub',
    heartbeatIntervalMs,
    ...(dependencies.history === undefined ? {} : { history: dependencies.history }),
    ...(dependencies.podTokens === undefined ? {} : { podTokens: dependencies.podTokens }),
    onAlive,
  });
  const scheduling = new Scheduling({
    store,
    clock,
    timers,
    logger,
    events,
    images,
    nodeDefinition,
  });
  const terminations = new Terminations({ store, clock, timers, logger, events });
  const outboxCursors = new OutboxCursors({ store, timers, logger });
  const nodePods = new NodePods(
    {
      store,
      clock,
      timers,
      random,
      logger,
      events,
      lastHeardMs: (nodeName) => sessions.lastHeartbeat(nodeName)?.monotonicMs,
    },
    { freshWithinMs: heartbeatIntervalMs * freshHeartbeats, reconnectWithinMs },
  );

  const sessionOf = (nodeName: string): LinkSession | undefined =>
    sessions.session(nodeName) ?? sessions.strangers?.session(nodeName);
  const lookForNodes = (batch: CommittedBatch): void => {
    for (const { type, object, previous } of batch.events) {
      if (object.key.resource !== 'nodes') continue;
      const { name } = object.key;
      if (type === 'put') {
        if (previous === undefined) sessions.strangers?.becameKnown(name);
        continue;
      }
      sessions.forget(name);
      outboxCursors.forget(name);
    }
  };
  const watch = store.watch(store.revision, (batch) => {
    terminations.look(batch);
    nodePods.look(batch);
    scheduling.look(batch);
    lookForNodes(batch);
  });
  terminations.lookAtAll();
  outboxCursors.lookAtAll();
  nodePods.lookAtAll();
  scheduling.request();

  return {
    connectedNodes: () => sessions.count,
    accept: (connection) => sessions.accept(connection),
    copies: {
      isConnected: (nodeName) => sessionOf(nodeName) !== undefined,
      fetch: (nodeName) => fetchCopy(sessionOf(nodeName), nodeName, timers),
      sendStrangersAway: () => sessions.strangers?.sendAway(),
    },
    podLogs: createPodLogs(sessions, timers),
    podStreams: createPodStreams(sessions, timers),
    usage: createUsage({ clock, timers, session: (nodeName) => sessions.session(nodeName) }),
    liveness(nodeName) {
      const heartbeat = sessions.lastHeartbeat(nodeName);
      return heartbeat === undefined ? undefined : { lastHeartbeatWallMs: heartbeat.wallMs };
    },
    async close() {
      watch.close();
      terminations.close();
      outboxCursors.close();
      verdicts.close();
      sessions.close();
      await nodePods.close();
      await scheduling.close();
    },
  };
}

/**
 * A front of the API put together: copies of the stores, a relay to their owner, and the
 * listener that clients come to.
 *
 * Invariants:
 * 1. It listens only once both copies hold a whole state.
 * 2. It ends with its link: without the owner it has nothing to say.
 */
import { assert, errorText } from '#base/mod.ts';
import { builtInDefinitions } from '#platform/api/mod.ts';
import type { AuditEvent } from '#platform/audit/mod.ts';
import { followRevocations } from '#platform/identity/mod.ts';
import type {
  Clock,
  Connection,
  HttpServer,
  Logger,
  Random,
  Timer,
  Timers,
} from '#platform/io/mod.ts';
import { createRelayFront, type RelayFront, relayLinkLimits } from '#platform/relay/mod.ts';
import { createStoreCopy, type StoreCopy } from '#platform/store/mod.ts';
import { type LinkSession, openLink } from '#platform/wire/mod.ts';
import { type AuditSink, createFrontServer } from '#roles/server/mod.ts';
import {
  feedMethod,
  type FrontNews,
  type FrontQuestion,
  type FrontSettings,
  type ObservedAnswer,
  type Revisions,
} from './front-words.ts';
import { createRevocationGuard } from './revocation-guard.ts';

export interface FrontPorts {
  /** To the process that has started this one. */
  readonly connection: Connection;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly random: Random;
  readonly httpServer: HttpServer;
  readonly logger: Logger;
}

/** What is told to the owner together: so much, or what came within so long. */
const toldAtOnceMax = 256;
const tellWithinMs = 50;

/** Serves until the link to the owner ends; resolves with why. Rejects where it cannot listen. */
export async function runApiFront(ports: FrontPorts): Promise<string> {
  const { connection, clock, timers, random, logger } = ports;
  const opened: { relay?: RelayFront } = {};
  const session = await openLink(
    { connection, clock, timers, logger },
    {
      ...{ role: 'child', product: 'selvage api front', limits: relayLinkLimits },
      onStream: (...stream) =>
        assert(opened.relay?.takeStream(...stream), 'an owner opens answers'),
    },
  );
  const ended = new Promise<string>((resolve) => {
    session.onClose((failure) => resolve(failure?.message ?? 'it was closed'));
  });
  const relay = createRelayFront(session);
  opened.relay = relay;
  const ask = async (question: FrontQuestion): Promise<unknown> => await relay.ask(question);
  const settings = (await ask({ type: 'settings' })) as FrontSettings;
  const store = copyFrom(session, 'main');
  const eventStore = copyFrom(session, 'events');
  await Promise.all([store.reached(0), eventStore.reached(0)]);
  const revocations = followRevocations(store);
  const teller = createTeller(timers, relay);
  const server = createFrontServer({
    ...{ store, eventStore, definitions: builtInDefinitions },
    ...{ clock, timers, random, logger },
    caughtUp: createCatchUp(async () => {
      const { main, events } = (await ask({ type: 'revisions' })) as Revisions;
      await Promise.all([store.reached(main), eventStore.reached(events)]);
    }),
    owner: relay.handler,
    isRevoked: (serialNumber) => revocations.isRevoked(serialNumber),
    observe(row, status, durationMs) {
      if (row === undefined) return;
      const { method, pattern, watch } = row;
      teller.observed({ row: { method, pattern, watch }, status, durationMs });
    },
    audit: settings.isAudited ? teller.audit : undefined,
  });
  const { address, credentials, trustPem, connectionsMax } = settings;
  const listener = await ports.httpServer.listen(
    {
      ...{ address, connectionsMax, isShared: true },
      onRefused(refused) {
        const news: FrontNews = { type: 'refused', refused };
        relay.tell(news);
      },
      tls: {
        ...{ credentials, trustPem, clientCertificate: 'request' },
        isRevoked: (serialNumber) => revocations.isRevoked(serialNumber),
      },
    },
    createRevocationGuard(revocations).guardAnswers(server.handler),
  );
  const listens: FrontNews = { type: 'listening' };
  relay.tell(listens);
  const why = await ended;
  server.close();
  await listener.close();
  return why;
}

function copyFrom(session: LinkSession, name: string): StoreCopy {
  const copy = createStoreCopy();
  const stream = session.open('status', feedMethod, { store: name });
  stream.onMessage((message) => copy.take(message));
  stream.onClose((failure) => {
    const why = failure === undefined ? 'it was closed' : errorText(failure.message);
    // A copy that does not follow any more must not answer.
    session.close({ code: 'FEED_ENDED', message: `the feed of the ${name} store ended: ${why}` });
  });
  return copy;
}

/**
 * One question to the owner for all who began to wait before it was asked. Who comes
 * while one is under way waits for the next: an answer may be older than its reader.
 */
export function createCatchUp(ask: () => Promise<void>): () => Promise<void> {
  let underWay: Promise<void> | undefined;
  let next: Promise<void> | undefined;
  const begin = (): Promise<void> => {
    const asked = ask().finally(() => {
      if (underWay === asked) underWay = undefined;
    });
    underWay = asked;
    return asked;
  };
  return () => {
    if (next !== undefined) return next;
    if (underWay === undefined) return begin();
    next = underWay
      .catch(() => undefined)
      .then(() => {
        next = undefined;
        return begin();
      });
    return next;
  };
}

interface Teller {
  readonly audit: AuditSink;
  observed(answer: ObservedAnswer): void;
}

/** Tells the owner what was answered here, some of it at a time. */
function createTeller(timers: Timers, relay: RelayFront): Teller {
  let observed: ObservedAnswer[] = [];
  let audited: AuditEvent[] = [];
  let omitted = 0;
  let timer: Timer | undefined;
  const tell = (): void => {
    timer?.cancel();
    timer = undefined;
    const news: FrontNews = { type: 'answered', observed, audited, omitted };
    observed = [];
    audited = [];
    omitted = 0;
    relay.tell(news);
  };
  const added = (): void => {
    if (observed.length + audited.length >= toldAtOnceMax) tell();
    else timer ??= timers.after(tellWithinMs, tell);
  };
  return {
    audit: {
      record(event) {
        audited.push(event);
        added();
      },
      omit() {
        omitted += 1;
        added();
      },
    },
    observed(answer) {
      observed.push(answer);
      added();
    },
  };
}

/**
 * The fronts of the API as the owner of the log sees them: processes that it starts, feeds
 * with what it has acknowledged, and answers for; one that ends is started again.
 *
 * Invariants:
 * 1. Who asks is believed from a front only: the other end of a process's connection is
 *    that process's alone.
 * 2. A front is in service only while its link is open; a link that ends takes its process
 *    along, and with it every connection of its clients.
 */
import { errorText, utf8 } from '#base/mod.ts';
import type { AuditLog } from '#platform/audit/mod.ts';
import {
  type Clock,
  type Connection,
  type HttpHandler,
  type HttpResponse,
  type Listener,
  type Logger,
  sleep,
  type Timers,
} from '#platform/io/mod.ts';
import { createRelayOwner, type RelayOwner, relayLinkLimits } from '#platform/relay/mod.ts';
import { openFeed, type OwnedStore } from '#platform/store/mod.ts';
import { type LinkSession, type LinkStream, openLink } from '#platform/wire/mod.ts';
import type { Server } from '#roles/server/mod.ts';
import {
  feedMethod,
  type FrontNews,
  type FrontQuestion,
  type FrontSettings,
} from './front-words.ts';

export interface FrontProcess {
  readonly pid: number;
  readonly connection: Connection;
  /** Called once, with how it ended. */
  onExit(listener: (how: string) => void): void;
  kill(): void;
}

export interface FrontStarter {
  readonly count: number;
  start(): Promise<FrontProcess>;
}

export interface ApiFrontsDependencies {
  readonly starter: FrontStarter;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly logger: Logger;
  readonly settings: FrontSettings;
  readonly handler: HttpHandler;
  readonly observe: Server['observe'];
  readonly onRefused: Server['refused'];
  readonly isRevoked: (serialNumber: string) => boolean;
  readonly store: OwnedStore;
  readonly eventStore: OwnedStore;
  readonly audit: AuditLog | undefined;
}

const restartMsMin = 100;
const restartMsMax = 5_000;
/** One that has lived so long is started again at once. */
const livedWellMs = 30_000;
const exitWithinMs = 5_000;
const diedWords = 'a front of the API died: what it answered in its last moments is not known';

/** Resolves once all of them listen; rejects where one cannot at the first try. */
export async function openApiFronts(dependencies: ApiFrontsDependencies): Promise<Listener> {
  const { starter, settings } = dependencies;
  const slots = Array.from({ length: starter.count }, () => new FrontSlot(dependencies));
  try {
    await Promise.all(slots.map((slot) => slot.begin()));
  } catch (error) {
    await Promise.all(slots.map((slot) => slot.close()));
    throw error;
  }
  return {
    address: settings.address,
    close: async () => void (await Promise.all(slots.map((slot) => slot.close()))),
  };
}

class FrontSlot {
  readonly #dependencies: ApiFrontsDependencies;
  #process: FrontProcess | undefined;
  #session: LinkSession | undefined;
  #exited: Promise<void> = Promise.resolve();
  #restartMs = restartMsMin;
  #isClosed = false;

  constructor(dependencies: ApiFrontsDependencies) {
    this.#dependencies = dependencies;
  }

  /** Starts the process and waits until it listens; from then on it is started again by itself. */
  async begin(): Promise<void> {
    await this.#start();
    void this.#keep();
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#session?.close({ code: 'SERVER_CLOSES', message: 'the server is stopping' });
    const timer = this.#dependencies.timers.after(exitWithinMs, () => this.#process?.kill());
    await this.#exited;
    timer.cancel();
  }

  async #keep(): Promise<void> {
    const { timers, clock, logger, audit } = this.#dependencies;
    for (;;) {
      const startedMs = clock.monotonicMs();
      await this.#exited;
      if (this.#isClosed) return;
      audit?.declare(diedWords);
      if (clock.monotonicMs() - startedMs > livedWellMs) this.#restartMs = restartMsMin;
      await sleep(timers, this.#restartMs);
      this.#restartMs = Math.min(2 * this.#restartMs, restartMsMax);
      if (this.#isClosed) return;
      try {
        await this.#start();
      } catch (error) {
        logger.log('error', 'a front of the API does not start', { error: errorText(error) });
      }
    }
  }

  async #start(): Promise<void> {
    const { starter, logger } = this.#dependencies;
    const process = await starter.start();
    this.#process = process;
    let fail: (error: Error) => void = () => undefined;
    const failed = new Promise<never>((_, reject) => {
      fail = reject;
    });
    failed.catch(() => undefined);
    this.#exited = new Promise((resolve) => {
      process.onExit((how) => {
        if (!this.#isClosed) logger.log('error', 'a front of the API ended', { how });
        fail(new Error(`a front of the API ended before it listened: ${how}`));
        resolve();
      });
    });
    try {
      await Promise.race([this.#serve(process), failed]);
    } catch (error) {
      process.kill();
      throw error;
    }
    logger.log('info', 'a front of the API listens', { pid: process.pid });
  }

  /** Resolves once it listens. */
  async #serve(process: FrontProcess): Promise<void> {
    const { clock, timers, logger } = this.#dependencies;
    let relay: RelayOwner | undefined;
    let listening: () => void = () => undefined;
    const listens = new Promise<void>((resolve) => {
      listening = resolve;
    });
    this.#session = await openLink(
      { connection: process.connection, clock, timers, logger },
      {
        ...{ role: 'parent', product: 'selvage server', limits: relayLinkLimits },
        onOpen: (session) => {
          relay = createRelayOwner(session, {
            handler: (request) => this.#answer(request),
            logger,
            onAsk: (question) => this.#reply(question as FrontQuestion),
            onTell: (news) => this.#take(news as FrontNews, listening),
          });
          session.onClose(() => process.kill());
        },
        onStream: (method, parameters, stream) => {
          if (method === feedMethod) void this.#feed(parameters['store'], stream);
          else if (relay?.takeStream(method, parameters, stream) !== true) {
            stream.fail({ code: 'NOT_KNOWN', message: `${method} is not known here` });
          }
        },
      },
    );
    await listens;
  }

  #answer(request: Parameters<HttpHandler>[0]): Promise<HttpResponse> {
    const { handler, isRevoked } = this.#dependencies;
    const { peer } = request;
    if (peer !== undefined && isRevoked(peer.serialNumber)) return Promise.resolve(revokedAnswer);
    return handler(request);
  }

  #reply(question: FrontQuestion): unknown {
    const { settings, store, eventStore } = this.#dependencies;
    return question.type === 'settings'
      ? settings
      : { main: store.revision, events: eventStore.revision };
  }

  #take(news: FrontNews, listening: () => void): void {
    if (news.type === 'listening') {
      listening();
      return;
    }
    const { observe, onRefused, audit } = this.#dependencies;
    if (news.type === 'refused') {
      onRefused(news.refused);
      return;
    }
    for (const { row, status, durationMs } of news.observed) observe(row, status, durationMs);
    for (const event of news.audited) audit?.record(event);
    audit?.omit(news.omitted);
  }

  async #feed(name: unknown, stream: LinkStream): Promise<void> {
    const { store, eventStore, logger } = this.#dependencies;
    const feed = openFeed(name === 'events' ? eventStore : store);
    stream.onMessage(() => undefined);
    stream.onClose(() => feed.close());
    try {
      for await (const message of feed.messages()) await stream.send(message);
    } catch (error) {
      logger.log('warn', 'the feed of a front has ended', { error: errorText(error) });
      stream.fail({ code: 'FEED_ENDED', message: errorText(error) });
    }
  }
}

const revokedAnswer: HttpResponse = {
  status: 401,
  headers: { 'content-type': 'application/json' },
  body: utf8(
    `${JSON.stringify({
      ...{ kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Failure' },
      message: 'the client certificate was not accepted: it was revoked and stays so',
      ...{ reason: 'Unauthorized', code: 401 },
    })}\n`,
  ),
};

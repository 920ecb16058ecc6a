/**
 * Machines with a good certificate of this fleet whose node the store does not know.
 * Where they prove that they followed a history that this server does not have, they
 * joined after the backup that it was restored from: their link stays, and serves
 * nothing, until an operator has decided. All others are sent away.
 */
import { errorText } from '#base/mod.ts';
import type { Clock, Connection, Logger, Timers } from '#platform/io/mod.ts';
import type { SliceServer } from '#platform/sync/mod.ts';
import { type LinkSession, type LinkStream, openLink } from '#platform/wire/mod.ts';
import type { HubDependencies } from './types.ts';

const strangersMax = 1_000;
/** So long a stranger has to say what it followed. */
const introductionMs = 10_000;
/** Streams that one has open at a time. */
const waitingMax = 16;

export interface StrangersDependencies {
  readonly clock: Clock;
  readonly timers: Timers;
  readonly logger: Logger;
  readonly product: string;
  readonly slices: Pick<SliceServer, 'differenceOf'>;
  readonly onDiverged: NonNullable<HubDependencies['history']>['onDiverged'];
  /** Takes the link over as that of a node of the fleet. */
  readonly onKnown: (nodeName: string, session: LinkSession) => void;
  /** Serves a stream of one that was taken over. */
  readonly serve: (
    nodeName: string,
    method: string,
    parameters: Readonly<Record<string, unknown>>,
    stream: LinkStream,
  ) => void;
}

interface Stranger {
  readonly session: LinkSession;
  /** What it has opened and is not served. */
  readonly waiting: LinkStream[];
  hasProved: boolean;
}

export class Strangers {
  readonly #dependencies: StrangersDependencies;
  readonly #strangers = new Map<string, Stranger>();

  constructor(dependencies: StrangersDependencies) {
    this.#dependencies = dependencies;
  }

  /** Of one that has proved what it followed. */
  session(nodeName: string): LinkSession | undefined {
    const stranger = this.#strangers.get(nodeName);
    return stranger?.hasProved === true ? stranger.session : undefined;
  }

  /** It is known from now on. Its link goes on: a node that was just taken in is not silent. */
  becameKnown(nodeName: string): void {
    const stranger = this.#strangers.get(nodeName);
    if (stranger === undefined) return;
    this.#strangers.delete(nodeName);
    this.#dependencies.onKnown(nodeName, stranger.session);
    // They begin again, and are served.
    const message = `node ${nodeName} was taken in`;
    for (const stream of stranger.waiting) stream.fail({ code: 'NODE_TAKEN_IN', message });
  }

  /** Nobody waits for a decision any more. */
  sendAway(): void {
    for (const nodeName of [...this.#strangers.keys()]) {
      this.#end(nodeName, 'NODE_UNKNOWN', unknownText(nodeName));
    }
  }

  close(): void {
    for (const nodeName of [...this.#strangers.keys()]) {
      this.#end(nodeName, 'HUB_STOPPING', 'the hub is stopping; come back');
    }
  }

  accept(nodeName: string, connection: Connection): void {
    const { clock, timers, logger, product } = this.#dependencies;
    if (this.#strangers.size >= strangersMax) {
      connection.destroy();
      return;
    }
    openLink(
      { connection, clock, timers, logger },
      {
        role: 'parent',
        product,
        onOpen: (session) => this.#opened(nodeName, session),
        onStream: (method, parameters, stream) => {
          const stranger = this.#strangers.get(nodeName);
          if (stranger === undefined) {
            this.#dependencies.serve(nodeName, method, parameters, stream);
            return;
          }
          // Of all else it is told nothing: what it has waits with it.
          stream.onMessage(() => undefined);
          stream.onClose(() => undefined);
          if (method === 'slice.follow') this.#introduce(nodeName, stranger, parameters, stream);
          else if (stranger.waiting.length < waitingMax) stranger.waiting.push(stream);
          else stream.fail({ code: 'NODE_UNKNOWN', message: unknownText(nodeName) });
        },
      },
    ).catch((error: unknown) => {
      logger.log('warn', 'a link did not come about', { node: nodeName, error: errorText(error) });
    });
  }

  #introduce(
    nodeName: string,
    stranger: Stranger,
    parameters: Readonly<Record<string, unknown>>,
    stream: LinkStream,
  ): void {
    const { slices, onDiverged } = this.#dependencies;
    const difference = slices.differenceOf(parameters);
    if (difference === undefined) {
      this.#end(nodeName, 'NODE_UNKNOWN', unknownText(nodeName));
      return;
    }
    stranger.hasProved = true;
    const reason = `this server does not know the node: it joined after the backup; ${difference.reason}`;
    onDiverged(nodeName, reason, difference.epoch);
    stream.fail({ code: 'SYNC_DIVERGED', message: reason });
  }

  #opened(nodeName: string, session: LinkSession): void {
    const { timers } = this.#dependencies;
    const older = this.#strangers.get(nodeName);
    const stranger: Stranger = { session, waiting: [], hasProved: false };
    this.#strangers.set(nodeName, stranger);
    older?.session.close({ code: 'LINK_REPLACED', message: 'a newer link is open' });
    const timer = timers.after(introductionMs, () => {
      if (this.#strangers.get(nodeName) !== stranger || stranger.hasProved) return;
      this.#end(nodeName, 'NODE_UNKNOWN', unknownText(nodeName));
    });
    session.onClose(() => {
      timer.cancel();
      if (this.#strangers.get(nodeName) === stranger) this.#strangers.delete(nodeName);
    });
  }

  #end(nodeName: string, code: string, message: string): void {
    const session = this.#strangers.get(nodeName)?.session;
    if (session === undefined) return;
    const { logger } = this.#dependencies;
    if (code === 'NODE_UNKNOWN') {
      logger.log('warn', 'a connection was refused: its certificate names no node of this fleet', {
        node: nodeName,
      });
    }
    session.close({ code, message });
  }
}

function unknownText(nodeName: string): string {
  return (
    `node ${nodeName} is not of this fleet: it was deleted, or it joined after a backup that the server ` +
    'was restored from. Join it again with a new token'
  );
}

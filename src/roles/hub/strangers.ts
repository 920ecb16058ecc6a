/**
 * Machines with a good certificate of this fleet whose node the store does not know.
 * Where they prove that they followed a history that this server does not have, they
 * joined after the backup that it was restored from: their link stays, and serves
 * nothing, until an operator has decided. All others are sent away.
 */
import { errorText } from '#base/mod.ts';
import type { Clock, Connection, Logger, Timers } from '#platform/io/mod.ts';
import type { SliceServer } from '#platform/sync/mod.ts';
import { type LinkSession, openLink } from '#platform/wire/mod.ts';
import type { HubDependencies } from './types.ts';

const strangersMax = 1_000;
/** So long a stranger has to say what it followed. */
const introductionMs = 10_000;

export interface StrangersDependencies {
  readonly clock: Clock;
  readonly timers: Timers;
  readonly logger: Logger;
  readonly product: string;
  readonly slices: Pick<SliceServer, 'differenceOf'>;
  readonly onDiverged: NonNullable<HubDependencies['history']>['onDiverged'];
}

export class Strangers {
  readonly #dependencies: StrangersDependencies;
  readonly #sessions = new Map<string, LinkSession>();
  readonly #proved = new Set<string>();

  constructor(dependencies: StrangersDependencies) {
    this.#dependencies = dependencies;
  }

  /** Of one that has proved what it followed. */
  session(nodeName: string): LinkSession | undefined {
    return this.#proved.has(nodeName) ? this.#sessions.get(nodeName) : undefined;
  }

  /** It is known from now on, and comes back as what it is. */
  becameKnown(nodeName: string): void {
    this.#end(nodeName, 'NODE_TAKEN_IN', `node ${nodeName} was taken in; come back`);
  }

  /** Nobody waits for a decision any more. */
  sendAway(): void {
    for (const nodeName of [...this.#sessions.keys()]) {
      this.#end(nodeName, 'NODE_UNKNOWN', unknownText(nodeName));
    }
  }

  close(): void {
    for (const nodeName of [...this.#sessions.keys()]) {
      this.#end(nodeName, 'HUB_STOPPING', 'the hub is stopping; come back');
    }
  }

  accept(nodeName: string, connection: Connection): void {
    const { clock, timers, logger, product } = this.#dependencies;
    if (this.#sessions.size >= strangersMax) {
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
          // Of all else it is told nothing: what it has waits with it.
          stream.onMessage(() => undefined);
          stream.onClose(() => undefined);
          if (method !== 'slice.follow') return;
          const { slices, onDiverged } = this.#dependencies;
          const difference = slices.differenceOf(parameters);
          if (difference === undefined) {
            this.#end(nodeName, 'NODE_UNKNOWN', unknownText(nodeName));
            return;
          }
          this.#proved.add(nodeName);
          const reason = `this server does not know the node: it joined after the backup; ${difference.reason}`;
          onDiverged(nodeName, reason, difference.epoch);
          stream.fail({ code: 'SYNC_DIVERGED', message: reason });
        },
      },
    ).catch((error: unknown) => {
      logger.log('warn', 'a link did not come about', { node: nodeName, error: errorText(error) });
    });
  }

  #opened(nodeName: string, session: LinkSession): void {
    const { timers } = this.#dependencies;
    this.#sessions.get(nodeName)?.close({ code: 'LINK_REPLACED', message: 'a newer link is open' });
    this.#sessions.set(nodeName, session);
    this.#proved.delete(nodeName);
    const timer = timers.after(introductionMs, () => {
      if (this.#sessions.get(nodeName) !== session || this.#proved.has(nodeName)) return;
      this.#end(nodeName, 'NODE_UNKNOWN', unknownText(nodeName));
    });
    session.onClose(() => {
      timer.cancel();
      if (this.#sessions.get(nodeName) !== session) return;
      this.#sessions.delete(nodeName);
      this.#proved.delete(nodeName);
    });
  }

  #end(nodeName: string, code: string, message: string): void {
    const session = this.#sessions.get(nodeName);
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

/**
 * 6. Whoever was superseded does nothing any more. Nodes have no epochs yet; what
 * stands for them is the link: when a node has opened a newer one, nothing is sent
 * on the older: the word that it was replaced comes before the newer one stands.
 */
import type { Connection, Net } from '#platform/io/mod.ts';
import type { World } from '#platform/sim/mod.ts';
import { invariants, type Violate } from './invariants.ts';

/** Messages taken in by which a link counts as standing: the greeting and a stream. */
const messagesOfStanding = 2;

interface Link {
  readonly number: number;
  readCount: number;
}

/** The same network, with the links of each node told apart. */
export function watchLinks(net: Net, world: World, violate: Violate): Net {
  const newest = new Map<string, { readonly link: Link; readonly sinceMs: number }>();
  let links = 0;
  const observe = (connection: Connection): Connection => {
    const name = connection.peer?.commonName ?? '';
    links += 1;
    const link: Link = { number: links, readCount: 0 };
    const wrote = (): void => {
      const present = newest.get(name);
      if (present === undefined || present.link.number <= link.number) return;
      const forMs = world.clock.monotonicMs() - present.sinceMs;
      const why = `the hub spoke on link ${link.number} of ${name}, ${Math.round(forMs)} ms after link ${present.link.number} had replaced it`;
      violate(invariants.supersededNeverActs, why);
    };
    const read = (): void => {
      link.readCount += 1;
      if (link.readCount !== messagesOfStanding) return;
      const present = newest.get(name);
      if (present !== undefined && present.link.number > link.number) return;
      newest.set(name, { link, sinceMs: world.clock.monotonicMs() });
    };
    return {
      get peer() {
        return connection.peer;
      },
      remoteAddress: connection.remoteAddress,
      write: (bytes) => {
        wrote();
        connection.write(bytes);
      },
      bufferedBytes: () => connection.bufferedBytes(),
      onData: (listener) =>
        connection.onData((bytes) => {
          read();
          listener(bytes);
        }),
      onDrain: (listener) => connection.onDrain(listener),
      onClose: (listener) => connection.onClose(listener),
      pause: () => connection.pause(),
      resume: () => connection.resume(),
      end: () => connection.end(),
      destroy: () => connection.destroy(),
    };
  };
  return {
    listen: (options, onConnection) =>
      net.listen(options, (connection) => onConnection(observe(connection))),
    connect: (options) => net.connect(options),
  };
}

/**
 * 6. Whoever was superseded does nothing any more. Nodes have no epochs yet; what
 * stands for them is the link: when a node has opened a newer one, nothing is sent
 * on the older: the word that it was replaced comes before the newer one stands.
 */
import type { World } from '#platform/sim/mod.ts';
import { invariants, type Violate } from './invariants.ts';
import type { Looker } from './watched-links.ts';

/** Messages taken in by which a link counts as standing: the greeting and a stream. */
const messagesOfStanding = 2;

/** Of one node: its newest link that stands, by number; 0 for none. */
interface Newest {
  link: number;
  sinceMs: number;
}

/** Tells the links of each node apart. */
export function lookForOlderLinks(world: World, violate: Violate): Looker {
  const newestOf = new Map<string, Newest>();
  let links = 0;
  return (name) => {
    links += 1;
    const link = links;
    const newest = newestOf.get(name) ?? { link: 0, sinceMs: 0 };
    newestOf.set(name, newest);
    let readCount = 0;
    return {
      onWrite() {
        if (newest.link <= link) return;
        const forMs = world.clock.monotonicMs() - newest.sinceMs;
        const why = `the hub spoke on link ${link} of ${name}, ${Math.round(forMs)} ms after link ${newest.link} had replaced it`;
        violate(invariants.supersededNeverActs, why);
      },
      onRead() {
        readCount += 1;
        if (readCount !== messagesOfStanding || newest.link > link) return;
        newest.link = link;
        newest.sinceMs = world.clock.monotonicMs();
      },
    };
  };
}

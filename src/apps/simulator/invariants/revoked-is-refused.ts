/**
 * 14. A revoked key is refused: once the operator was told that a node's key is
 * revoked, the server takes nothing in any more that comes with a certificate of that
 * node, on links that were open and on new ones, until the machine has joined anew.
 */
import { nodeSubject } from '#platform/identity/mod.ts';
import type { HttpServer } from '#platform/io/mod.ts';
import { invariants, type Violate } from './invariants.ts';
import type { Looker } from './watched-links.ts';

export class RevokedIsRefused {
  readonly #violate: Violate;
  /** Common names. */
  readonly #revoked = new Set<string>();

  constructor(violate: Violate) {
    this.#violate = violate;
  }

  /** From now on; the operator has the answer. */
  begin(nodeName: string): void {
    this.#revoked.add(nodeSubject(nodeName).commonName);
  }

  /** The machine is about to join with a new key. */
  end(nodeName: string): void {
    this.#revoked.delete(nodeSubject(nodeName).commonName);
  }

  /** What arrives on links. */
  lookAtLinks(): Looker {
    return (name) => ({ onRead: () => this.#look(name, 'took in what came over a link') });
  }

  /** The same server, with who asks looked at. */
  watchRequests(server: HttpServer): HttpServer {
    return {
      listen: (options, handler) =>
        server.listen(options, (request) => {
          this.#look(request.peer?.commonName ?? '', `took in ${request.method} ${request.path}`);
          return handler(request);
        }),
    };
  }

  #look(commonName: string, what: string): void {
    if (!this.#revoked.has(commonName)) return;
    this.#violate(invariants.revokedIsRefused, `the server ${what} of ${commonName}`);
  }
}

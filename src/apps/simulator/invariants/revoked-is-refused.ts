/**
 * 14. A revoked key is refused: once the operator was told that a node's key is
 * revoked, the server takes nothing in any more that comes with a certificate of that
 * node, on links that were open and on new ones, until the machine has joined anew.
 */
import { nodeSubject } from '#platform/identity/mod.ts';
import type { Connection, HttpServer, Net } from '#platform/io/mod.ts';
import { invariants, type Violate } from './invariants.ts';

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

  /** The same network, with what arrives on links looked at. */
  watchLinks(net: Net): Net {
    const observe = (connection: Connection): Connection => {
      const name = connection.peer?.commonName ?? '';
      return {
        get peer() {
          return connection.peer;
        },
        remoteAddress: connection.remoteAddress,
        write: (bytes) => connection.write(bytes),
        bufferedBytes: () => connection.bufferedBytes(),
        onData: (listener) =>
          connection.onData((bytes) => {
            this.#look(name, 'took in what came over a link');
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

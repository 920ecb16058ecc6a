/**
 * What is open when a key is revoked: links and answers that still stream are cut
 * at once; new connections and requests are refused by the listeners themselves.
 *
 * Invariant: whatever came in with a node's certificate is known here for as long
 * as it is open, so nothing outlives the revocation of its key.
 */
import type { Revocations } from '#platform/identity/mod.ts';
import type { ByteSink, Connection, HttpHandler, PeerIdentity } from '#platform/io/mod.ts';

export interface RevocationGuard {
  /** Cuts this connection when its certificate is revoked, or now if it is already. */
  watchConnection(connection: Connection): void;
  /** The same handler, whose streamed answers are cut when the asker's certificate is revoked. */
  guardAnswers(handler: HttpHandler): HttpHandler;
}

export function createRevocationGuard(certificates: Revocations): RevocationGuard {
  const openBySerial = new Map<string, Set<() => void>>();

  const remember = (serialNumber: string, cut: () => void): (() => void) => {
    const open = openBySerial.get(serialNumber) ?? new Set();
    openBySerial.set(serialNumber, open);
    open.add(cut);
    return () => {
      open.delete(cut);
      if (open.size === 0 && openBySerial.get(serialNumber) === open) {
        openBySerial.delete(serialNumber);
      }
    };
  };

  certificates.onRevoked(() => {
    for (const [serialNumber, open] of Array.from(openBySerial)) {
      if (!certificates.isRevoked(serialNumber)) continue;
      for (const cut of Array.from(open)) cut();
    }
  });

  const guardSink = (peer: PeerIdentity, sink: ByteSink): ByteSink => {
    const forget = remember(peer.serialNumber, () => sink.destroy());
    sink.onClose(forget);
    return sink;
  };

  return {
    watchConnection(connection) {
      const { peer } = connection;
      if (peer === undefined) return;
      const forget = remember(peer.serialNumber, () => connection.destroy());
      connection.onClose(forget);
      if (certificates.isRevoked(peer.serialNumber)) connection.destroy();
    },
    guardAnswers: (handler) => async (request) => {
      const { peer } = request;
      const answer = await handler(request);
      const { body } = answer;
      if (peer === undefined || typeof body !== 'function') return answer;
      return { ...answer, body: (sink) => body(guardSink(peer, sink)) };
    },
  };
}

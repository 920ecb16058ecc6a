/**
 * The link's transport: TLS 1.3 over TCP.
 *
 * Invariant: a connection reaches `onConnection` only after its certificate was judged
 * here, whatever TLS says of it; this side keeps no sessions to resume.
 */
import { isIP } from 'node:net';
import { checkServerIdentity, connect, createServer, type TLSSocket } from 'node:tls';
import type { X509Certificate } from 'node:crypto';
import { assert } from '#base/mod.ts';
import {
  NetError,
  type Address,
  type ClientTls,
  type Connection,
  type Net,
  type PeerIdentity,
  type ServerTls,
} from '../net.ts';
import {
  authoritiesOf,
  certificateFactsOf,
  checkCredentials,
  identityOf,
  judgeClient,
} from './certificates.ts';
import { handshakeTimeoutMs, listenOn } from './listening.ts';
import { netErrorOf } from './net-errors.ts';
import { SocketStream } from './socket-stream.ts';

const textOfAddress = (address: Address): string => `${address.host}:${address.port}`;

class TlsConnection extends SocketStream implements Connection {
  readonly peer: PeerIdentity | undefined;
  readonly remoteAddress: string;

  constructor(socket: TLSSocket, peer: PeerIdentity | undefined) {
    super(socket);
    this.peer = peer;
    this.remoteAddress = socket.remoteAddress ?? '';
  }
}

/** The peer, or undefined where it sent no certificate; false where it is turned away. */
function admit(
  socket: TLSSocket,
  tls: ServerTls,
  authorities: readonly X509Certificate[],
): PeerIdentity | undefined | false {
  const certificate = socket.getPeerX509Certificate();
  if (certificate === undefined) return tls.clientCertificate === 'request' ? undefined : false;
  const judgement = judgeClient(certificate, authorities, Date.now());
  if (!judgement.trusted) return false;
  return tls.isRevoked?.(judgement.peer.serialNumber) === true ? false : judgement.peer;
}

async function dial(options: {
  readonly address: Address;
  readonly tls: ClientTls;
  readonly timeoutMs: number;
}): Promise<Connection> {
  const { address, tls, timeoutMs } = options;
  const where = `cannot connect to ${textOfAddress(address)}`;
  const expectedName = tls.serverName ?? address.host;
  return new Promise((resolve, reject) => {
    const socket = connect({
      host: address.host,
      port: address.port,
      ca: tls.trustPem,
      minVersion: 'TLSv1.3',
      // An address is not a name to ask for in the handshake (RFC 6066).
      servername: isIP(expectedName) === 0 ? expectedName : '',
      checkServerIdentity: (_, certificate) => checkServerIdentity(expectedName, certificate),
      ...(tls.credentials === undefined
        ? {}
        : { cert: tls.credentials.certificatePem, key: tls.credentials.privateKeyPem }),
    });
    const timer = setTimeout(() => {
      socket.destroy(
        new NetError('NET_TIMEOUT', `${where}: no answer in ${timeoutMs} ms`, { retryable: true }),
      );
    }, timeoutMs);
    const fail = (thrown: unknown): void => {
      clearTimeout(timer);
      socket.destroy();
      reject(netErrorOf(thrown, where));
    };
    const failClosed = (): void => {
      fail(new NetError('NET_CLOSED', `${where}: closed in the handshake`, { retryable: true }));
    };
    socket.once('error', fail);
    socket.once('close', failClosed);
    socket.once('secureConnect', () => {
      clearTimeout(timer);
      try {
        assert(socket.authorized, 'an untrusted server has been refused before');
        const certificate = socket.getPeerX509Certificate();
        assert(certificate !== undefined, 'a server has a certificate');
        const connection = new TlsConnection(socket, identityOf(certificateFactsOf(certificate)));
        socket.off('error', fail);
        socket.off('close', failClosed);
        resolve(connection);
      } catch (thrown) {
        fail(thrown);
      }
    });
  });
}

/** Real sockets. Listening and connecting both need TLS 1.3. */
export function createNodeNet(): Net {
  return {
    listen: ({ address, tls, connectionsMax }, onConnection) => {
      checkCredentials(tls.credentials);
      const authorities = authoritiesOf(tls.trustPem);
      const server = createServer({
        cert: tls.credentials.certificatePem,
        key: tls.credentials.privateKeyPem,
        ca: tls.trustPem,
        minVersion: 'TLSv1.3',
        requestCert: true,
        rejectUnauthorized: tls.clientCertificate === 'require',
        handshakeTimeout: handshakeTimeoutMs,
      });
      // A handshake that fails concerns that connection alone, and it is closed already.
      server.on('tlsClientError', (_, socket) => socket.destroy());
      server.on('secureConnection', (socket) => {
        socket.on('error', () => {});
        const peer = admit(socket, tls, authorities);
        if (peer === false) socket.destroy();
        else onConnection(new TlsConnection(socket, peer));
      });
      return listenOn(server, address, connectionsMax);
    },
    connect: dial,
  };
}

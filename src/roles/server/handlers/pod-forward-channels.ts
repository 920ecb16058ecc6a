/**
 * `port-forward` in its plain form: one WebSocket, two channels for each port that the
 * request names. Client libraries ask for it; kubectl tunnels SPDY instead.
 *
 * Invariants:
 * 1. The first byte of a message is its channel: 2i for the bytes of the i-th port, 2i+1
 *    for what went wrong with it. The first message of a channel is its port, two bytes,
 *    the low one first.
 * 2. What one side leaves unread is not read from the other. All ports of a
 *    WebSocket share it, so one that does not read holds up the others.
 */
import { concatBytes, utf8 } from '#base/mod.ts';
import { StatusError } from '#platform/api/mod.ts';
import type { PodStream, PodStreamSource } from '../pod-streams.ts';
import type { WebSocket } from '../streaming/websocket.ts';

export const channelProtocol = 'v4.channel.k8s.io';

const portsMax = 16;
const portMax = 65_535;

/** The ports of the query, `ports=8080` or `ports=8080,9090`. Throws BadRequest. */
export function portsOf(query: URLSearchParams): readonly number[] {
  const words = query.getAll('ports').flatMap((value) => value.split(','));
  if (words.length === 0) {
    throw new StatusError('BadRequest', 'ports must name the ports of the pod, e.g. ports=8080');
  }
  if (words.length > portsMax) {
    throw new StatusError(
      'BadRequest',
      `ports names ${words.length}; at most ${portsMax} go at once`,
    );
  }
  return words.map((word) => {
    const port = /^\d{1,5}$/.test(word) ? Number(word) : 0;
    if (port >= 1 && port <= portMax) return port;
    const shown = JSON.stringify(word.slice(0, 16));
    throw new StatusError('BadRequest', `ports must be numbers from 1 to ${portMax}, not ${shown}`);
  });
}

/** Connects each of `ports` now; ends the WebSocket when the last of them is over. */
export function forwardChannels(
  source: PodStreamSource,
  socket: WebSocket,
  pod: { readonly nodeName: string; readonly uid: string },
  ports: readonly number[],
): void {
  const streams = new Map<number, PodStream>();
  let left = ports.length;
  const send = (channel: number, bytes: Uint8Array): Promise<void> =>
    socket.send(concatBytes([Uint8Array.of(channel), bytes]));
  for (const [position, port] of ports.entries()) {
    const [data, error] = [2 * position, 2 * position + 1];
    const portBytes = Uint8Array.of(port % 256, Math.floor(port / 256));
    void send(data, portBytes);
    void send(error, portBytes);
    const stream = source.open(pod.nodeName, 'pod.forward', { podUid: pod.uid, port });
    streams.set(data, stream);
    // An empty message: the pod sends nothing more. There is no word for it here.
    stream.onMessage((bytes) => (bytes.length === 0 ? undefined : send(data, bytes)));
    stream.onClose((failure) => {
      streams.delete(data);
      left -= 1;
      const told =
        failure === undefined
          ? Promise.resolve()
          : send(error, utf8(`error forwarding port ${port} to pod: ${failure.message}`));
      void told.finally(() => {
        if (left === 0) socket.close(1000);
      });
    });
  }
  socket.onMessage(async (message) => {
    // For a port that is over, or a channel that nobody has: there is nobody to tell it to.
    const stream = streams.get(message[0] ?? 0);
    if (message.length > 1) await stream?.send(message.subarray(1)).catch(() => undefined);
  });
  socket.onClose(() => {
    for (const stream of streams.values()) {
      stream.fail({ code: 'CLIENT_GONE', message: 'the client has gone away' });
    }
  });
}

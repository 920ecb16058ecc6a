export {
  type Child,
  type ChildExit,
  type Children,
  type ChildSpec,
  type TerminalSize,
  type RunningProgram,
} from './child.ts';
export {
  microTimestampOf,
  sleep,
  timestampOf,
  type Clock,
  type Timer,
  type Timers,
} from './clock.ts';
export { type Datagrams, type DatagramSocket } from './datagrams.ts';
export { DiskError, type Disk, type DiskEntry, type DiskErrorCode, type DiskFile } from './disk.ts';
export { type FileAccess, type FileKind, type FileTree } from './file-tree.ts';
export {
  BodyTooLargeError,
  inProcessAddress,
  readBody,
  type ByteSink,
  type HttpBody,
  type HttpClient,
  type HttpClientRequest,
  type HttpClientResponse,
  type HttpHandler,
  type HttpRequest,
  type HttpResponse,
  type HttpServer,
  type RefusedRequest,
} from './http.ts';
export {
  type CertificateFacts,
  type CertificateProfile,
  type CertificateRequest,
  type CertificateSubject,
  type KeyPair,
  type Keys,
  type RequesterKeys,
} from './keys.ts';
export { silentLogger, type Logger, type LogLevel } from './log-sink.ts';
export {
  NetError,
  type NetErrorCode,
  type Address,
  type ClientTls,
  type Connection,
  type Credentials,
  type Listener,
  type Net,
  type PeerIdentity,
  type ServerTls,
} from './net.ts';
export { type PlainConnection, type PlainNet } from './plain-net.ts';
export { type ProbeNet } from './probe-net.ts';
export { type Random } from './random.ts';
export {
  type ProcessEntry,
  type ProcessHandle,
  type ProcessIdentity,
  type ProcessSpec,
  type Spawn,
} from './spawn.ts';
export { type HostTurns } from './turns.ts';

/**
 * What a command may touch. Built once by src/apps/main from the real ports;
 * nothing in this room reaches for the process, a clock or a socket itself.
 */
import type {
  Address,
  Clock,
  Disk,
  HttpClient,
  ProcessIdentity,
  Random,
  Spawn,
  Timers,
} from '#platform/io/mod.ts';

/** Meaning of the exit codes, the same for every command. */
export const exitCodes = {
  ok: 0,
  /** It was tried and did not work; the message says why. */
  failed: 1,
  /** The command line itself was wrong. */
  usage: 2,
  /** The fleet or its server could not be reached. */
  unreachable: 3,
} as const;

export type ExitCode = (typeof exitCodes)[keyof typeof exitCodes];

export interface ServerProcessOptions {
  readonly stateFolder: string;
  readonly apiHost: string;
  readonly apiPort: number;
  readonly linkHost: string;
  readonly linkPort: number;
  /** By which nodes and people reach this machine; undefined: where it listens. */
  readonly advertisedHost: string | undefined;
  /** First two numbers of the pods' addresses, e.g. `127.1`. */
  readonly podNetwork: string;
  /** First two numbers of the addresses of services; undefined: by the pods'. */
  readonly serviceNetwork: string | undefined;
  readonly heartbeatIntervalMs: number;
  /** How long nodes' certificates live. */
  readonly nodeCertificateLifeMs: number;
  /** Bytes of the audit log that are kept; 0: there is none. */
  readonly auditRetainBytesMax: number;
  /** Processes that listen for the API; 0: the server listens by itself. */
  readonly apiFronts: number;
}

export interface AgentProcessOptions {
  readonly stateFolder: string;
  readonly nodeName: string;
  /** Holds a JoinFile; read only while the agent has no certificate. */
  readonly joinFile: string | undefined;
  readonly heartbeatIntervalMs: number;
  /** Absolute paths below which pods may be shown the node's own files. */
  readonly hostPathPrefixes: readonly string[];
  /** By which others reach this machine; undefined: found out. */
  readonly machineAddress: string | undefined;
  /** Other nodes run on this machine too. */
  readonly sharesMachine: boolean;
  /** Names of the runtimes to offer, best first. */
  readonly runtimes: readonly string[];
  /** Where the agent serves its metrics; undefined: nowhere. */
  readonly metricsAddress: Address | undefined;
}

/** What a machine needs to join: handed over as one file, readable by root alone. */
export interface JoinFile {
  readonly server: { readonly host: string; readonly port: number };
  readonly caPem: string;
  readonly token: string;
}

export interface CliContext {
  readonly clock: Clock;
  readonly timers: Timers;
  readonly random: Random;
  readonly spawn: Spawn;
  readonly httpClient: HttpClient;
  /** The disk port rooted at an absolute folder. */
  diskAt(folder: string): Disk;
  /** Keeps a state folder, made where missing, to this process until it ends. Throws CommandFailure. */
  claimFolder(folder: string, holder: string): Promise<void>;
  /** Opens a folder of a server that does not run and says what it holds; throws where it cannot. */
  readServerFolder(
    folder: string,
  ): Promise<{ readonly incarnation: string; readonly revision: number; readonly nodes: number }>;
  readonly standardOutput: Output;
  readonly standardError: Output;
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Absolute. */
  readonly workingDirectory: string;
  /** Program and first arguments that run this command line again. */
  readonly selfCommand: readonly [string, ...string[]];
  /** Program and first arguments that run the agent's own program; its options follow. */
  readonly agentCommand: readonly [string, ...string[]];
  /** What stands in its environment beside what every role gets. */
  readonly agentEnvironment: Readonly<Record<string, string>>;
  /** The folder of the package: examples lie below it. */
  readonly packageFolder: string;
  readonly productVersion: string;
  readonly nodeVersion: string;
  readonly self: ProcessIdentity;
  /** Calls `listener` for each SIGINT or SIGTERM from now on, instead of ending the process. */
  onInterrupt(listener: (signal: 'SIGINT' | 'SIGTERM') => void): void;
  /** Runs the server in this process until it is told to stop; resolves with the exit code. */
  runServer(options: ServerProcessOptions): Promise<ExitCode>;
  /** Runs a front of the API in this process, which a server has started. */
  runApiFront(): Promise<ExitCode>;
  /** The agent's own program takes this process over, with its pid. */
  becomeAgent(words: readonly string[]): never;
}

export interface Output {
  write(text: string): void;
  readonly isTerminal: boolean;
  /** Of the terminal as it is now. */
  readonly columns: number;
  readonly rows: number;
}

/** A failure whose text is for the person at the keyboard; ends the command with `exitCode`. */
export class CommandFailure extends Error {
  override readonly name = 'CommandFailure';
  readonly exitCode: ExitCode;

  constructor(message: string, exitCode: ExitCode = exitCodes.failed) {
    super(message);
    this.exitCode = exitCode;
  }
}

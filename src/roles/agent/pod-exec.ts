/**
 * Serves `pod.exec`: runs a command beside a workload and carries its streams, or
 * carries bytes to the workload's own input. The first message says which:
 * `{"command", "stdin", "tty"}`, or `{"attach": true}`. After it a message is a
 * channel's number and its bytes: 0 in, 1 out, 2 errors, 3 the status at the end, 4 the
 * terminal's size, and 255 with 0 when nothing more comes in.
 *
 * Invariants:
 * 1. What was started ends with the stream, whichever side gives it up.
 * 2. The status comes last, after everything that the command has written.
 * 3. What one side leaves unread is not read from the other.
 * 4. What comes in reaches the command in the order in which it came, also what came
 *    before there was a command, or while it would not take more.
 */
import { concatBytes, errorText, isJsonObject, strictTextOf, utf8 } from '#base/mod.ts';
import type { Child, TerminalSize } from '#platform/io/mod.ts';
import type { LinkStream } from '#platform/wire/mod.ts';
import { AgentError } from './errors.ts';
import type { RuntimeSet } from './runtimes/runtime-set.ts';

export interface PodExecDependencies {
  readonly runtime: Pick<RuntimeSet, 'get' | 'exec' | 'attachInput'>;
  readonly hasPod: (uid: string) => boolean;
}

const commandsMax = 32;
const inputUnreadBytesMax = 256 * 1024;
const outputUnsentMax = 4;
const resizeBytesMax = 256;
const [input, output, errors, status, resize, close] = [0, 1, 2, 3, 4, 255];
/** As a shell has them: not to be run, and not there. */
const exitRefused = 126;
const exitNotFound = 127;

/** A handler of the streams that the hub opens. */
export function createPodExec({
  runtime,
  hasPod,
}: PodExecDependencies): (
  parameters: Readonly<Record<string, unknown>>,
  stream: LinkStream,
) => void {
  let commands = 0;

  return ({ podUid, container }, stream) => {
    let session: Session | undefined;
    stream.onClose(() => {
      session?.child?.kill();
      if (session !== undefined) session.isOver = true;
      session?.begin();
    });
    stream.onMessage((message) => {
      if (session !== undefined) return takeInput(session, message);
      session = newSession();
      if (commands >= commandsMax) {
        const text = `at most ${commandsMax} commands run in containers of a node at a time`;
        stream.fail({ code: 'EXEC_BUSY', message: text });
        return undefined;
      }
      commands += 1;
      const begun = session;
      run(begun, stream, podUid, String(container), message)
        .catch((error: unknown) => {
          if (!begun.isOver) stream.fail({ code: 'EXEC_FAILED', message: errorText(error) });
        })
        .finally(() => {
          commands -= 1;
        });
      return undefined;
    });
  };

  async function run(
    session: Session,
    stream: LinkStream,
    podUid: unknown,
    container: string,
    request: Uint8Array,
  ): Promise<void> {
    if (typeof podUid !== 'string' || !hasPod(podUid)) {
      stream.fail({ code: 'POD_NOT_FOUND', message: 'this node does not have that pod' });
      return;
    }
    const asked = parseRequest(request);
    const key = { podUid, container };
    let child: Child;
    try {
      child =
        asked.kind === 'attach'
          ? await runtime.attachInput(key)
          : await runtime.exec(key, asked.command, { hasTerminal: asked.hasTerminal });
    } catch (error) {
      if (!(error instanceof AgentError)) throw error;
      // Who attaches has no command that could have ended with a code.
      if (asked.kind === 'attach') stream.fail({ code: error.code, message: error.message });
      else await refuse(stream, error);
      return;
    }
    if (session.isOver) {
      child.kill();
      return;
    }
    session.child = child;
    session.begin();
    const exitCode = carryOutput(stream, child);
    if (!asked.hasInput) child.endInput();
    const code = await exitCode;
    if (session.isOver) return;
    await stream.send(statusMessage(code));
    stream.end();
  }
}

interface Session {
  child: Child | undefined;
  isOver: boolean;
  /** All that has come in so far was passed on. */
  taken: Promise<void>;
  /** There is a child, or there will be none. */
  readonly begin: () => void;
}

function newSession(): Session {
  let begin = (): void => {};
  const taken = new Promise<void>((resolve) => {
    begin = resolve;
  });
  return { child: undefined, isOver: false, taken, begin };
}

type Asked =
  | { readonly kind: 'attach'; readonly hasInput: true }
  | {
      readonly kind: 'exec';
      readonly command: readonly string[];
      readonly hasInput: boolean;
      readonly hasTerminal: boolean;
    };

function parseRequest(bytes: Uint8Array): Asked {
  const value: unknown = JSON.parse(strictTextOf(bytes));
  const fields = isJsonObject(value) ? value : {};
  if (fields['attach'] === true) return { kind: 'attach', hasInput: true };
  const command = fields['command'];
  if (!Array.isArray(command) || !command.every((word) => typeof word === 'string')) {
    throw new AgentError('EXEC_REFUSED', 'a command is a list of words');
  }
  const [hasInput, hasTerminal] = [fields['stdin'] === true, fields['tty'] === true];
  return { kind: 'exec', command, hasInput, hasTerminal };
}

/** The link's own credit bounds what waits. */
function takeInput(session: Session, message: Uint8Array): Promise<void> {
  session.taken = session.taken.then(() => passOn(session, message));
  return session.taken;
}

function passOn({ child }: Session, message: Uint8Array): void | Promise<void> {
  if (child === undefined) return undefined;
  if (message[0] === close && message[1] === input) child.endInput();
  if (message[0] === resize) {
    const size = sizeOf(message.subarray(1));
    if (size !== undefined) child.resize(size);
  }
  if (message[0] !== input) return undefined;
  child.write(message.subarray(1));
  if (child.bufferedBytes() < inputUnreadBytesMax) return undefined;
  return new Promise((resolve) => {
    child.onDrain(resolve);
    child.onExit(() => resolve());
  });
}

/** As clients of the API write it. Undefined for what is no size: the terminal stays as it is. */
function sizeOf(bytes: Uint8Array): TerminalSize | undefined {
  if (bytes.length > resizeBytesMax) return undefined;
  try {
    const value: unknown = JSON.parse(strictTextOf(bytes));
    if (!isJsonObject(value)) return undefined;
    const { Width: columns, Height: rows } = value;
    return typeof columns === 'number' && typeof rows === 'number' ? { columns, rows } : undefined;
  } catch {
    return undefined;
  }
}

/** Resolves with the exit code when all output has been sent. */
function carryOutput(stream: LinkStream, child: Child): Promise<number> {
  let sending = Promise.resolve();
  let unsent = 0;
  child.onOutput((from, bytes) => {
    unsent += 1;
    if (unsent >= outputUnsentMax) child.pause();
    const message = concatBytes([Uint8Array.of(from === 'stdout' ? output : errors), bytes]);
    sending = sending
      .then(() => stream.send(message))
      // The stream is over, and its end has killed the command.
      .catch(() => undefined)
      .then(() => {
        unsent -= 1;
        if (unsent < outputUnsentMax) child.resume();
      });
  });
  return new Promise((resolve) => {
    child.onExit(({ code }) => {
      // Ended by a signal: of what is killed here the reason is one of a few, all of them violent.
      void sending.then(() => resolve(code ?? 137));
    });
  });
}

async function refuse(stream: LinkStream, error: AgentError): Promise<void> {
  if (error.code === 'EXEC_NOT_RUNNING') {
    stream.fail({ code: 'CONTAINER_NOT_FOUND', message: error.message });
    return;
  }
  const text = utf8(`${error.message}\n`);
  await stream.send(concatBytes([Uint8Array.of(errors), text]));
  await stream.send(statusMessage(error.code === 'EXEC_NOT_FOUND' ? exitNotFound : exitRefused));
  stream.end();
}

/** As clients of the API read it. */
function statusMessage(code: number): Uint8Array {
  const said =
    code === 0
      ? { metadata: {}, status: 'Success' }
      : {
          metadata: {},
          status: 'Failure',
          message: `command terminated with non-zero exit code: exit status ${code}`,
          reason: 'NonZeroExitCode',
          details: { causes: [{ reason: 'ExitCode', message: String(code) }] },
        };
  return concatBytes([Uint8Array.of(status), utf8(JSON.stringify(said))]);
}

/**
 * The launch record: what the shim is told on its standard input. It is shell
 * text of assignments and one `set --`, every value in single quotes, so that no
 * byte of a value is ever taken as anything but itself. It goes over standard
 * input and not the command line, which everyone on the machine may read.
 */
import { assert, strictTextOf, utf8 } from '#base/mod.ts';

export const launchBytesMax = 512 * 1024;

export interface Launch {
  /** Absolute path of the JavaScript runtime's binary. */
  readonly runtime: string;
  /** Absolute path of the unpacked bundle; the workload sees it as `/app`. */
  readonly bundle: string;
  /** User and group id of the workload. */
  readonly userId: number;
  readonly hostname: string;
  /** Size limit of the workload's /tmp, which is memory. */
  readonly temporaryBytesMax: number;
  /** The workload's whole environment. */
  readonly environment: Readonly<Record<string, string>>;
  /** Program and arguments, as the workload's root has them. */
  readonly command: readonly string[];
}

/** Values must be free of NUL; names of variables are letters, digits and `_`. */
export function encodeLaunch(launch: Launch): Uint8Array {
  const variables = Object.entries(launch.environment).map(([name, value]) => {
    assert(/^[A-Za-z_][A-Za-z0-9_]*$/.test(name), `${name} is no name of a variable`);
    return `${name}=${value}`;
  });
  const lines = [
    `runtime=${quoted(launch.runtime)}`,
    `bundle=${quoted(launch.bundle)}`,
    `userId=${quoted(String(launch.userId))}`,
    `hostname=${quoted(launch.hostname)}`,
    `temporaryBytesMax=${quoted(String(launch.temporaryBytesMax))}`,
    // The script behind it counts variables as those words before the program.
    `set -- ${[...variables, ...launch.command].map(quoted).join(' ')}`,
  ];
  const bytes = utf8(`${lines.join('\n')}\n`);
  assert(bytes.length <= launchBytesMax, `a launch record of ${bytes.length} bytes`);
  return bytes;
}

/** The inverse, for the simulated shim. Throws AssertionFailure on anything else. */
export function decodeLaunch(bytes: Uint8Array): Launch {
  const text = strictTextOf(bytes);
  const fields = new Map<string, string>();
  let words: string[] = [];
  const line = /(?:([A-Za-z]+)=|set -- )((?:'[^']*'|\\'| )*)\n/gy;
  let end = 0;
  for (const match of text.matchAll(line)) {
    const values = [...(match[2] ?? '').matchAll(/(?:'[^']*'|\\')+/g)].map(([word]) =>
      unquoted(word),
    );
    if (match[1] === undefined) words = values;
    else fields.set(match[1], values[0] ?? '');
    end = match.index + match[0].length;
  }
  assert(end === text.length, 'the launch record ends where its lines end');
  const environment: Record<string, string> = {};
  const programAt = words.findIndex((word) => !/^[A-Za-z_][A-Za-z0-9_]*=/.test(word));
  assert(programAt >= 0, 'a launch record names a program');
  for (const word of words.slice(0, programAt)) {
    const at = word.indexOf('=');
    environment[word.slice(0, at)] = word.slice(at + 1);
  }
  return {
    runtime: fields.get('runtime') ?? '',
    bundle: fields.get('bundle') ?? '',
    userId: Number(fields.get('userId')),
    hostname: fields.get('hostname') ?? '',
    temporaryBytesMax: Number(fields.get('temporaryBytesMax')),
    environment,
    command: words.slice(programAt),
  };
}

function quoted(value: string): string {
  assert(!value.includes('\0'), 'a launch record has no NUL');
  return `'${value.replaceAll("'", String.raw`'\''`)}'`;
}

function unquoted(word: string): string {
  return word.replaceAll(/'([^']*)'|\\'/g, (_, inner: string | undefined) => inner ?? "'");
}

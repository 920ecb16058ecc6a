/**
 * The command lines of benchmarks and soaks: one table of options is what is read and what
 * `--help` prints. Every wrong word is refused in one line.
 */
import { parseArgs } from 'node:util';

export type OptionDescription = {
  /** What stands for its value in the usage, e.g. `N`. */
  readonly value: string;
  readonly meaning: string;
  /** What the usage says of the fallback, where its value says little. */
  readonly otherwise?: string;
} & ({ readonly fallback: string } | { readonly fallback: number; readonly least: number });

export type OptionTable = Readonly<Record<string, OptionDescription>>;

export type ValuesOf<Options extends OptionTable> = {
  readonly [Name in keyof Options]: Options[Name]['fallback'] extends number ? number : string;
};

export interface CommandDescription<Options extends OptionTable = OptionTable> {
  readonly summary: string;
  readonly options: Options;
}

/** Nothing is to be run: `text` goes to the standard output where the code is 0, else to the errors. */
export interface CommandEnd {
  readonly exitCode: 0 | 2;
  readonly text: string;
}

interface CommandValues<Options extends OptionTable> {
  readonly values: ValuesOf<Options>;
  readonly words: readonly string[];
}

/**
 * `command`: as it is typed, e.g. `npm run bench -- store`. `wordsText`: how the usage names the
 * words beside options; undefined where there are none.
 */
export function readCommandLine<Options extends OptionTable>(
  line: readonly string[],
  command: string,
  { summary, options }: CommandDescription<Options>,
  wordsText?: string,
): CommandValues<Options> | CommandEnd {
  const refused = (why: string): CommandEnd => ({
    exitCode: 2,
    text: `${why.replace(/\.$/, '')} (${command} --help tells what there is)`,
  });
  const given: { [name: string]: { type: 'string' } } = {};
  for (const name of Object.keys(options)) given[name] = { type: 'string' };
  let parsed;
  try {
    parsed = parseArgs({
      args: [...line],
      allowPositionals: wordsText !== undefined,
      options: { ...given, help: { type: 'boolean', default: false } },
    });
  } catch (error) {
    const [first = ''] = String(error instanceof Error ? error.message : error).split(/\. |\n/);
    return refused(first);
  }
  const texts = parsed.values as Readonly<Record<string, string | boolean | undefined>>;
  if (texts['help'] === true) {
    const usage = `usage: ${command}${wordsText === undefined ? '' : ` ${wordsText}`} [options]`;
    return { exitCode: 0, text: `${usage}\n\n${summary}\n\n${optionsText(options)}` };
  }
  const values: Record<string, string | number> = {};
  for (const [name, description] of Object.entries(options)) {
    const text = texts[name];
    if (typeof text !== 'string') {
      values[name] = description.fallback;
    } else if (!('least' in description)) {
      values[name] = text;
    } else {
      const number = /^\d+$/.test(text) ? Number(text) : Number.NaN;
      if (!Number.isSafeInteger(number) || number < description.least) {
        return refused(`--${name} takes a whole number from ${description.least}, not '${text}'`);
      }
      values[name] = number;
    }
  }
  return { values: values as ValuesOf<Options>, words: parsed.positionals };
}

function optionsText(options: OptionTable): string {
  const rows: [flags: string, meaning: string][] = [];
  for (const [name, { value, meaning, fallback, otherwise }] of Object.entries(options)) {
    const usual = otherwise ?? String(fallback);
    rows.push([`--${name}=${value}`, usual === '' ? meaning : `${meaning} (${usual})`]);
  }
  rows.push(['--help', 'this']);
  const width = Math.max(...rows.map(([flags]) => flags.length));
  return rows.map(([flags, meaning]) => `  ${flags.padEnd(width)}  ${meaning}`).join('\n');
}

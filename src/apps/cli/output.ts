/** How commands print: tables for people, JSON or YAML for programs, colour on a terminal only. */
import { stringify } from 'yaml';
import type { Output } from './context.ts';

export type OutputFormat = 'text' | 'json' | 'yaml';

/** Prints a value for a program; the caller prints `text` itself. */
export function printStructured(output: Output, format: 'json' | 'yaml', value: unknown): void {
  output.write(format === 'json' ? `${JSON.stringify(value, undefined, 2)}\n` : stringify(value));
}

/** Columns padded to their widest cell, two spaces apart, nothing after the last. */
export function tableText(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = header.map((title, column) =>
    rows.reduce((widest, row) => Math.max(widest, shownLength(row[column] ?? '')), title.length),
  );
  const line = (cells: readonly string[]): string =>
    cells
      .map((cell, column) =>
        column === cells.length - 1
          ? cell
          : cell + ' '.repeat(Math.max(0, (widths[column] ?? 0) - shownLength(cell))),
      )
      .join('  ')
      .trimEnd();
  return `${[header, ...rows].map(line).join('\n')}\n`;
}

/** How many places a cell takes: colours take none. */
function shownLength(cell: string): number {
  // oxlint-disable-next-line no-control-regex -- the escape sequences that `coloured` writes
  return cell.replaceAll(/\u001b\[[0-9]+m/g, '').length;
}

const colours = { green: 32, red: 31, yellow: 33, dim: 2, bold: 1 } as const;

/** `text` in a colour on a terminal, plain elsewhere and where NO_COLOR is set. */
export function coloured(output: Output, colour: keyof typeof colours, text: string): string {
  return output.isTerminal ? `\u001b[${colours[colour]}m${text}\u001b[0m` : text;
}

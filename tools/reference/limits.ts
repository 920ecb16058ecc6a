/**
 * docs/reference/limits.md: every maximum in the program, read off the constants whose
 * names end in `Max`, with what is said of them where they stand.
 */
import type { SourceFile } from '../tidy/source-files.ts';

interface Limit {
  readonly room: string;
  readonly words: string;
  readonly value: string;
  readonly meaning: string;
}

const declaration =
  /(?:\/\*\*((?:(?!\*\/)[^])*)\*\/\n)?^(?:export )?const (\w+Max) = ([\d_ *]+);$/gm;

export function limitsPage(files: readonly SourceFile[]): string {
  const limits = files
    .filter(({ path }) => !/\.(?:test|contract)\.ts$/.test(path))
    .flatMap((file) => limitsOf(file));
  const rooms = [...new Set(limits.map(({ room }) => room))].sort();
  return [
    '# Limits',
    '',
    'Whatever comes from outside has a maximum, and so has whatever waits: beyond it a request is',
    'refused with the field and the limit, and a queue is cut with a count. Sizes of what the',
    'program itself takes are in [install](../operations/install.md).',
    '',
    ...rooms.flatMap((room) => [
      `## ${room}`,
      '',
      '| limit | value | what for |',
      '| --- | --- | --- |',
      ...limits
        .filter((limit) => limit.room === room)
        .map(({ words, value, meaning }) => `| ${words} | ${value} | ${meaning} |`),
      '',
    ]),
  ].join('\n');
}

function limitsOf({ path, text }: SourceFile): Limit[] {
  const room = path
    .replace(/^src\//, '')
    .split('/')
    .slice(0, 2)
    .join('/');
  return [...text.matchAll(declaration)].map(([, comment = '', name = '', expression = '']) => ({
    room,
    words: wordsOf(name),
    value: valueOf(name, expression),
    meaning: comment
      .replaceAll(/^\s*\* ?/gm, '')
      .replaceAll(/\s+/g, ' ')
      .replaceAll('|', '/')
      .trim(),
  }));
}

/** `requestBodyBytesMax`: request body bytes. */
function wordsOf(name: string): string {
  return name
    .replace(/Max$/, '')
    .replaceAll(/([a-z0-9])([A-Z])/g, '$1 $2')
    .toLowerCase();
}

function valueOf(name: string, expression: string): string {
  const number = expression
    .split('*')
    .map((factor) => Number(factor.replaceAll('_', '').trim()))
    .reduce((product, factor) => product * factor, 1);
  if (/Bytes/.test(name) && number >= 1024 && number % 1024 === 0) {
    return number % (1024 * 1024) === 0 ? `${number / (1024 * 1024)} MiB` : `${number / 1024} KiB`;
  }
  if (/Ms/.test(name) && number % 1000 === 0) return `${grouped(number / 1000)} s`;
  return grouped(number);
}

function grouped(number: number): string {
  return String(number).replaceAll(/\B(?=(?:\d{3})+$)/g, ',');
}

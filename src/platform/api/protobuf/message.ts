/** How the tables of messages are written, and what they say of each field. */

export type ScalarType =
  | 'string'
  | 'integer'
  | 'boolean'
  | 'bytes'
  /** A message that is a list of texts and nothing else. */
  | 'texts'
  | 'time'
  | 'quantity'
  | 'int-or-string';

export interface MessageField {
  readonly name: string;
  /** A scalar, or the name of a message below. */
  readonly type: string;
  /** `inline`: its fields are those of the message that it is in, as JSON has them. */
  readonly shape: 'single' | 'list' | 'map' | 'inline';
  /** A pointer in Go: that it is there counts, also where it is zero. */
  readonly isPointer: boolean;
}

export type Message = Readonly<Record<number, MessageField>>;

const shapes: Readonly<Record<string, MessageField['shape']>> = {
  '[]': 'list',
  '{}': 'map',
  '.': 'inline',
};

/**
 * `1 name string`, one field a line. `[]` before the type: a list; `{}`: a map from
 * texts; `*`: a pointer; `.`: inline.
 */
export function message(text: string): Message {
  const fields: Record<number, MessageField> = {};
  for (const line of text.trim().split('\n')) {
    const [number = '', name = '', words = ''] = line.trim().split(' ');
    const prefix = /^(\[\]|\{\}|\*|\.)?/.exec(words)?.[1] ?? '';
    fields[Number(number)] = {
      name,
      type: words.slice(prefix.length),
      shape: shapes[prefix] ?? 'single',
      isPointer: prefix === '*',
    };
  }
  return fields;
}

/**
 * What a table has under that name itself: text of users may be `constructor`, which every
 * plain object seems to have.
 */
export function ownOf<Value>(
  table: Readonly<Record<string, Value>> | undefined,
  name: string,
): Value | undefined {
  return table !== undefined && Object.hasOwn(table, name) ? table[name] : undefined;
}

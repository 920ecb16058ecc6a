/** Writes bodies as protobuf field by field, as Go's encoder writes them. */
import { concatBytes, utf8 } from '#base/mod.ts';

function varint(value: bigint): number[] {
  const bytes: number[] = [];
  let rest = BigInt.asUintN(64, value);
  do {
    const byte = Number(rest & 0x7fn);
    rest >>= 7n;
    bytes.push(rest === 0n ? byte : byte | 0x80);
  } while (rest !== 0n);
  return bytes;
}

type Value = bigint | string | Uint8Array;

/** A message out of `[number, value]` pairs. */
export function message(...fields: readonly (readonly [number, Value])[]): Uint8Array {
  return concatBytes(
    fields.map(([number, value]) => {
      if (typeof value === 'bigint')
        return Uint8Array.from([...varint(BigInt(number) << 3n), ...varint(value)]);
      const bytes = typeof value === 'string' ? utf8(value) : value;
      const head = [...varint((BigInt(number) << 3n) | 2n), ...varint(BigInt(bytes.length))];
      return concatBytes([Uint8Array.from(head), bytes]);
    }),
  );
}

export function body(apiVersion: string, kind: string, raw: Uint8Array): Uint8Array {
  const unknown = message([1, message([1, apiVersion], [2, kind])], [2, raw], [3, ''], [4, '']);
  return concatBytes([utf8('k8s\0'), unknown]);
}

/** As Go writes it: fields that are not set are there, as zeros. */
export const metadata = (name: string): Uint8Array =>
  message(
    [1, name],
    [2, ''],
    [3, ''],
    [4, ''],
    [5, ''],
    [6, ''],
    [7, 0n],
    [8, message()],
    [11, message([1, 'app'], [2, name])],
  );

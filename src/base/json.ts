/** The values that JSON can carry, which is what every API object is made of. */

export type Json = null | boolean | number | string | Json[] | JsonObject;
export interface JsonObject {
  [name: string]: Json;
}

/** A copy that shares nothing with `value`. As deep as the stack allows: for parsed, bounded JSON. */
export function copyJson<Value>(value: Value): Value {
  if (Array.isArray(value)) return value.map((item: unknown) => copyJson(item)) as Value;
  if (!isJsonObject(value)) return value;
  const copy: JsonObject = { ...value };
  for (const name of Object.keys(copy)) {
    const field = copy[name];
    if (typeof field === 'object' && field !== null) copy[name] = copyJson(field);
  }
  return copy as Value;
}

export function isJsonObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

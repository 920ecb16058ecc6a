/** A short text that follows from a template, to tell pods of one from those of another. */
import { hash } from 'node:crypto';
import type { Json } from '#base/mod.ts';
import type { PodTemplate } from '#platform/api/mod.ts';
import { nameAlphabet } from './random-suffix.ts';

const hashLength = 10;

/** Ten characters that follow from the template and, after a clash of names, its count. */
export function templateHash(template: PodTemplate, collisionCount: number): string {
  const text = JSON.stringify([canonical(template), collisionCount]);
  const digest = hash('sha256', text, 'buffer');
  let out = '';
  for (let at = 0; at < hashLength; at += 1) {
    out += nameAlphabet.charAt((digest[at] ?? 0) % nameAlphabet.length);
  }
  return out;
}

/** The same value with all fields in one order, so that equal templates have equal texts. */
function canonical(value: Json): Json {
  if (Array.isArray(value)) return value.map(canonical);
  if (value === null || typeof value !== 'object') return value;
  const names = Object.keys(value).sort();
  return Object.fromEntries(names.map((name) => [name, canonical(value[name] ?? null)]));
}

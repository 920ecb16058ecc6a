/** Letters and digits for names, without vowels and look-alikes. */
import type { Random } from '#platform/io/mod.ts';

export const nameAlphabet = 'bcdfghjklmnpqrstvwxz2456789';

export function randomSuffix(random: Random, length: number): string {
  let suffix = '';
  for (let at = 0; at < length; at += 1) {
    suffix += nameAlphabet.charAt(random.below(nameAlphabet.length));
  }
  return suffix;
}

/**
 * Regular expressions that other people wrote: RE2, which takes time in proportion to
 * the text and has no back references to make it hang.
 */
import { RE2JS, RE2JSException } from 're2js';
import { patternLengthMax } from './limits.ts';

export interface SafePattern {
  /** Whether any part of the text matches. */
  test(text: string): boolean;
  /** The first `limit` parts that match, left to right. */
  findAll(text: string, limit: number): readonly string[];
}

type Parsed = SafePattern | { readonly problem: string };

const patternsKeptMax = 512;
/** Those that were asked for last: schemas say the same of many fields. */
const patterns = new Map<string, Parsed>();

/** The pattern, or what is wrong with it. */
export function parseSafePattern(source: string): Parsed {
  if (source.length > patternLengthMax) {
    return { problem: `must have at most ${patternLengthMax} characters` };
  }
  const known = patterns.get(source);
  if (known !== undefined) return known;
  const made = compiled(source);
  patterns.set(source, made);
  if (patterns.size > patternsKeptMax) {
    for (const oldest of patterns.keys()) {
      patterns.delete(oldest);
      break;
    }
  }
  return made;
}

function compiled(source: string): Parsed {
  try {
    const pattern = RE2JS.compile(source);
    return {
      test: (text) => pattern.test(text),
      findAll(text, limit) {
        const found: string[] = [];
        const matcher = pattern.matcher(text);
        while (found.length < limit && matcher.find()) found.push(matcher.group() ?? '');
        return found;
      },
    };
  } catch (error) {
    if (!(error instanceof RE2JSException)) throw error;
    return { problem: `must be an RE2 regular expression: ${error.message}` };
  }
}

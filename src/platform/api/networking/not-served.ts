/** What people are told of kinds that are kept for them and that nothing acts on yet. */

/** One sentence for a `Warning` header. */
export function notServedYet(kind: string, what: string): string {
  return `${kind} is stored, and not served yet: nothing here acts on ${what}`;
}

/** The resolvers that a machine's own configuration names. */
import type { Address } from '#platform/io/mod.ts';

const dnsPort = 53;
/** More than these the C library does not ask either. */
const resolversMax = 3;

/** Of the text of a `resolv.conf`, in their order. */
export function resolversIn(text: string): readonly Address[] {
  const resolvers: Address[] = [];
  for (const line of text.split('\n')) {
    const [word, host = ''] = line.trim().split(/\s+/u);
    if (word === 'nameserver' && /^\d{1,3}(\.\d{1,3}){3}$/u.test(host)) {
      resolvers.push({ host, port: dnsPort });
    }
  }
  return resolvers.slice(0, resolversMax);
}

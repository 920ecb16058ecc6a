/**
 * A browser sends the certificate of whoever sits before it with what any page asks,
 * and opens WebSockets for any page: what such a request changes, or reaches into, is only
 * for pages of this very server, and those over TLS.
 *
 * Programs name no origin, or the server's own without minding the scheme; they do not
 * call themselves what every browser does.
 */
import { StatusError } from '#platform/api/mod.ts';
import type { HttpRequest } from '#platform/io/mod.ts';

const shownOriginLengthMax = 100;

/** Throws StatusError 403 where the page that asks is of another site. */
export function refuseOtherSites(headers: HttpRequest['headers'], what: string): void {
  const { origin, host = '' } = headers;
  if (origin === undefined || origin.toLowerCase() === `https://${host.toLowerCase()}`) return;
  const isBrowser = (headers['user-agent'] ?? '').startsWith('Mozilla/');
  if (!isBrowser && origin.toLowerCase() === `http://${host.toLowerCase()}`) return;
  const shown = origin.slice(0, shownOriginLengthMax);
  throw new StatusError('Forbidden', `a page of ${shown} may not ${what} here`);
}

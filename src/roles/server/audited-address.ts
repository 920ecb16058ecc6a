/**
 * The address of a request as the audit log keeps it: without what could be a secret.
 *
 * Invariants:
 * 1. Of a query only parameters that are known to hold none keep their values; any other
 *    value, and of a command all words but the first, is written as `*`.
 * 2. A field selector keeps the values of fields that are not an object's content.
 */
import { auditedAddressLengthMax } from './limits.ts';

const leftOut = '*';

/** Everything that the API takes in a query and that is not content, a command or a token. */
const harmlessParameters = new Set([
  'allowWatchBookmarks',
  'container',
  'digest',
  'dryRun',
  'fieldManager',
  'fieldValidation',
  'follow',
  'force',
  'gracePeriodSeconds',
  'ignoreStoreReadErrorWithClusterBreakingPotential',
  'includeObject',
  'labelSelector',
  'limit',
  'limitBytes',
  'orphanDependents',
  'ports',
  'pretty',
  'previous',
  'propagationPolicy',
  'resourceVersion',
  'resourceVersionMatch',
  'sendInitialEvents',
  'sinceSeconds',
  'sinceTime',
  'stderr',
  'stdin',
  'stdout',
  'stream',
  'tailLines',
  'timeout',
  'timeoutSeconds',
  'timestamps',
  'tty',
  'verbose',
  'watch',
]);

const harmlessField =
  /^(metadata\.(name|namespace|uid)|spec\.[A-Za-z]+|status\.[A-Za-z]+|involvedObject\.[A-Za-z]+|type|reason|reportingComponent|source)$/;

/** `path` and `query` as they were sent. */
export function auditedAddress(path: string, query: string): string {
  const whole = query === '' ? path : `${path}?${auditedQuery(query)}`;
  return whole.length <= auditedAddressLengthMax
    ? whole
    : `${whole.slice(0, auditedAddressLengthMax)}…`;
}

function auditedQuery(query: string): string {
  let commandWords = 0;
  return query
    .split('&')
    .map((part) => {
      const equals = part.indexOf('=');
      const name = equals === -1 ? part : part.slice(0, equals);
      // Who writes a known name with escapes is not known.
      if (equals === -1) return harmlessParameters.has(name) ? part : leftOut;
      if (harmlessParameters.has(name)) return part;
      if (name === 'fieldSelector') return `${name}=${auditedSelector(part.slice(equals + 1))}`;
      if (name === 'command') {
        commandWords += 1;
        return commandWords === 1 ? part : `${name}=${leftOut}`;
      }
      return `${/^[A-Za-z]{1,32}$/.test(name) ? name : leftOut}=${leftOut}`;
    })
    .join('&');
}

function auditedSelector(encoded: string): string {
  let text: string;
  try {
    text = decodeURIComponent(encoded.replaceAll('+', ' '));
  } catch {
    return leftOut;
  }
  const terms = text.split(',').map((term) => {
    const match = /^\s*([A-Za-z.]+)\s*(!=|==|=)(.*)$/.exec(term);
    const [, field = '', operator = '', value = ''] = match ?? [];
    if (match === null) return leftOut;
    return `${field}${operator}${harmlessField.test(field) ? value : leftOut}`;
  });
  return encodeURIComponent(terms.join(','));
}

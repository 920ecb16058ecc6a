/** What the system and TLS raise, in the terms of the port. */
import { errorText } from '#base/mod.ts';
import { NetError, type NetErrorCode } from '../net.ts';

const codeOfSystemCode: Readonly<Record<string, NetErrorCode>> = {
  ECONNREFUSED: 'NET_REFUSED',
  ECONNRESET: 'NET_CLOSED',
  EPIPE: 'NET_CLOSED',
  ERR_STREAM_PREMATURE_CLOSE: 'NET_CLOSED',
  ERR_STREAM_DESTROYED: 'NET_CLOSED',
  ABORT_ERR: 'NET_CLOSED',
  ETIMEDOUT: 'NET_TIMEOUT',
  EADDRINUSE: 'NET_ADDRESS_IN_USE',
  CERT_HAS_EXPIRED: 'NET_UNTRUSTED',
  CERT_NOT_YET_VALID: 'NET_UNTRUSTED',
  CERT_SIGNATURE_FAILURE: 'NET_UNTRUSTED',
  CERT_UNTRUSTED: 'NET_UNTRUSTED',
  CERT_REJECTED: 'NET_UNTRUSTED',
  CERT_CHAIN_TOO_LONG: 'NET_UNTRUSTED',
  DEPTH_ZERO_SELF_SIGNED_CERT: 'NET_UNTRUSTED',
  SELF_SIGNED_CERT_IN_CHAIN: 'NET_UNTRUSTED',
  UNABLE_TO_GET_ISSUER_CERT: 'NET_UNTRUSTED',
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: 'NET_UNTRUSTED',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'NET_UNTRUSTED',
  INVALID_CA: 'NET_UNTRUSTED',
  INVALID_PURPOSE: 'NET_UNTRUSTED',
  PATH_LENGTH_EXCEEDED: 'NET_UNTRUSTED',
  HOSTNAME_MISMATCH: 'NET_UNTRUSTED',
  ERR_TLS_CERT_ALTNAME_INVALID: 'NET_UNTRUSTED',
};

function codeOf(thrown: unknown): NetErrorCode {
  const code = thrown instanceof Error && 'code' in thrown ? String(thrown.code) : '';
  const known = codeOfSystemCode[code];
  if (known !== undefined) return known;
  // The other side's verdict on our certificate comes as a TLS alert.
  if (/^ERR_SSL_.*ALERT.*(CERTIFICATE|UNKNOWN_CA|ACCESS_DENIED)/.test(code)) return 'NET_UNTRUSTED';
  return 'NET_IO';
}

export function netErrorOf(thrown: unknown, what: string): NetError {
  if (thrown instanceof NetError) return thrown;
  const code = codeOf(thrown);
  return new NetError(code, `${what}: ${errorText(thrown)}`, {
    cause: thrown,
    retryable: code !== 'NET_UNTRUSTED',
  });
}

/**
 * The text that both ends of SPDY/3.1 begin to compress headers with. It is a
 * constant of the protocol: names of headers with their lengths before them, and
 * then, without any, what their values often hold.
 */
import { concatBytes, utf8 } from '#base/mod.ts';

const names =
  'options head post put delete trace accept accept-charset accept-encoding accept-language ' +
  'accept-ranges age allow authorization cache-control connection content-base content-encoding ' +
  'content-language content-length content-location content-md5 content-range content-type date ' +
  'etag expect expires from host if-match if-modified-since if-none-match if-range ' +
  'if-unmodified-since last-modified location max-forwards pragma proxy-authenticate ' +
  'proxy-authorization range referer retry-after server te trailer transfer-encoding upgrade ' +
  'user-agent vary via warning www-authenticate method get status';
const laterNames = ['200 OK', 'version', 'HTTP/1.1', 'url', 'public', 'set-cookie', 'keep-alive'];
const codes =
  '100 101 201 202 205 206 300 302 303 304 305 306 307 402 405 406 407 408 409 410 411 412 413 ' +
  '414 415 416 417 502 504 505';
const phrases =
  '203 Non-Authoritative Information|204 No Content|301 Moved Permanently|400 Bad Request|' +
  '401 Unauthorized|403 Forbidden|404 Not Found|500 Internal Server Error|501 Not Implemented|' +
  '503 Service Unavailable';
const values =
  'Jan Feb Mar Apr May Jun Jul Aug Sept Oct Nov Dec 00:00:00 Mon, Tue, Wed, Thu, Fri, Sat, Sun, ' +
  'GMT|chunked,text/html,image/png,image/jpg,image/gif,application/xml,application/xhtml+xml,' +
  'text/plain,text/javascript,public|private|max-age=|gzip,deflate,sdch|charset=utf-8|' +
  'charset=iso-8859-1,utf-,*,enq=0.';

export const spdyDictionary: Uint8Array = concatBytes([
  ...[...names.split(' '), ...laterNames, 'origin'].flatMap((name) => [
    Uint8Array.of(0, 0, 0, name.length),
    utf8(name),
  ]),
  utf8(codes.replaceAll(' ', '')),
  utf8(phrases.replaceAll('|', '')),
  utf8(values.replaceAll('|', '')),
]);

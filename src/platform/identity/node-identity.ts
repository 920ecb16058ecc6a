/**
 * A node's own identity, on its own disk: the key never leaves it.
 *
 *   identity/key.pem          private key, made before joining (and public-key.pem)
 *   identity/request.pem      certificate request over that key, for joining and every renewal
 *   identity/ca.pem           the authority of the fleet
 *   identity/connection.json  where the hub and the server's API listen
 *   identity/certificate.pem  written last: it being there means that this node has joined;
 *                             replaced by every renewal
 */
import {
  assert,
  isJsonObject,
  type JsonObject,
  SelvageError,
  strictTextOf,
  utf8,
} from '#base/mod.ts';
import {
  type Address,
  type ClientTls,
  type Disk,
  type HttpClient,
  type KeyPair,
  type RequesterKeys,
  readBody,
} from '#platform/io/mod.ts';
import { authorityPinOf, parseJoinToken } from './token-text.ts';
import { nodeSubject } from './user.ts';

export interface NodeIdentity {
  readonly nodeName: string;
  readonly hubAddress: Address;
  /** Where certificates are renewed: the API that this node joined by. */
  readonly apiAddress: Address;
  readonly tls: ClientTls;
}

/** Where and with what to join. */
export interface JoinDirections {
  readonly server: Address;
  readonly caPem: string;
  readonly token: string;
}

export const identityFileBytesMax = 64 * 1024;
export const certificateFile = 'identity/certificate.pem';
const requestFile = 'identity/request.pem';
const answerBytesMax = 256 * 1024;
const requestTimeoutMs = 20_000;

/** What `joinFleet` has left on this disk; undefined for a node that has not joined. */
export async function loadNodeIdentity(disk: Disk): Promise<NodeIdentity | undefined> {
  const read = async (name: string): Promise<string | undefined> => {
    const bytes = await disk.readFile(`identity/${name}`, identityFileBytesMax);
    return bytes === undefined ? undefined : strictTextOf(bytes);
  };
  const certificatePem = await read('certificate.pem');
  if (certificatePem === undefined) return undefined;
  const privateKeyPem = await read('key.pem');
  const trustPem = await read('ca.pem');
  const connection = await read('connection.json');
  if (privateKeyPem === undefined || trustPem === undefined || connection === undefined) {
    throw new SelvageError(
      'IDENTITY_INCOMPLETE',
      'the identity folder of this node has a certificate but lacks key.pem, ca.pem or connection.json. Remove the folder and join again with a new token.',
    );
  }
  const { nodeName, hubAddress, apiAddress } = JSON.parse(connection) as Partial<NodeIdentity>;
  if (nodeName === undefined || hubAddress === undefined || apiAddress === undefined) {
    throw new SelvageError(
      'IDENTITY_INCOMPLETE',
      'identity/connection.json of this node does not say its name and where the hub and the API listen. Remove the folder "identity" and join again with a new token.',
    );
  }
  return {
    nodeName,
    hubAddress,
    apiAddress,
    tls: { credentials: { certificatePem, privateKeyPem }, trustPem },
  };
}

/**
 * The key pair of an earlier attempt, or a new one, durable before it is used: a
 * token answers the same key again where an answer was lost on the way.
 */
async function keptKeyPair(disk: Disk, keys: RequesterKeys): Promise<KeyPair> {
  const privateKey = await disk.readFile('identity/key.pem', identityFileBytesMax);
  const publicKey = await disk.readFile('identity/public-key.pem', identityFileBytesMax);
  if (privateKey !== undefined && publicKey !== undefined) {
    return { privateKeyPem: strictTextOf(privateKey), publicKeyPem: strictTextOf(publicKey) };
  }
  const pair = await keys.createKeyPair();
  await disk.writeFileAtomic('identity/key.pem', utf8(pair.privateKeyPem), 0o600);
  await disk.writeFileAtomic('identity/public-key.pem', utf8(pair.publicKeyPem), 0o600);
  return pair;
}

/**
 * The request over this node's key, made once: what is certified is always the same
 * key, and making requests takes more memory than all the rest of an identity.
 */
export async function keptRequest(
  disk: Disk,
  keys: RequesterKeys,
  nodeName: string,
): Promise<string> {
  const kept = await disk.readFile(requestFile, identityFileBytesMax);
  if (kept !== undefined) return strictTextOf(kept);
  const pair = await keptKeyPair(disk, keys);
  const requestPem = await keys.createRequest(pair, nodeSubject(nodeName));
  await disk.writeFileAtomic(requestFile, utf8(requestPem), 0o600);
  return requestPem;
}

/** The request over this node's key, where it has made one. */
export async function readCertificateRequest(disk: Disk): Promise<string | undefined> {
  const kept = await disk.readFile(requestFile, identityFileBytesMax);
  return kept === undefined ? undefined : strictTextOf(kept);
}

/**
 * Joins with a token: makes the key, has the server certify it, keeps all of it
 * durably. Throws SelvageError IDENTITY_JOIN_REFUSED with the server's own words,
 * or what the network said; trying again with the same key is safe.
 */
export async function joinFleet(
  ports: { readonly disk: Disk; readonly keys: RequesterKeys; readonly httpClient: HttpClient },
  nodeName: string,
  directions: JoinDirections,
): Promise<NodeIdentity> {
  const { disk, keys, httpClient } = ports;
  if (parseJoinToken(directions.token).authorityPin !== authorityPinOf(directions.caPem)) {
    throw new SelvageError(
      'IDENTITY_JOIN_REFUSED',
      'the join token was made by another authority than the one in the join file; the token was not sent. Get both from the same server.',
    );
  }
  await disk.makeDirectory('identity', 0o700);
  const certificateRequestPem = await keptRequest(disk, keys, nodeName);
  const { status, text } = await postJson(
    httpClient,
    { address: directions.server, trustPem: directions.caPem },
    '/apis/selvage.dev/v1/nodejoins',
    { nodeName, certificateRequestPem },
    { authorization: `Bearer ${directions.token}` },
  );
  if (status !== 201 && status !== 200) {
    const words = messageOf(text) ?? `status ${status}`;
    const message = `the server did not let ${nodeName} join: ${words}`;
    // A server that is not well may be by the next attempt; a refusal stays one.
    throw status >= 500
      ? new SelvageError('IDENTITY_JOIN_FAILED', message, { retryable: true })
      : new SelvageError('IDENTITY_JOIN_REFUSED', message);
  }
  const answer = JSON.parse(text) as {
    certificatePem: string;
    caPem: string;
    linkAddress: Address;
  };
  assert(answer.certificatePem.length > 0, 'a join answers with a certificate');
  const connection = { nodeName, hubAddress: answer.linkAddress, apiAddress: directions.server };
  await disk.writeFileAtomic('identity/ca.pem', utf8(answer.caPem), 0o600);
  await disk.writeFileAtomic('identity/connection.json', utf8(JSON.stringify(connection)), 0o600);
  await disk.writeFileAtomic(certificateFile, utf8(answer.certificatePem), 0o600);
  const identity = await loadNodeIdentity(disk);
  assert(identity !== undefined, 'an identity that was written can be read');
  return identity;
}

/** One request of a node to the API, without a certificate, and its whole answer. */
export async function postJson(
  httpClient: HttpClient,
  server: { readonly address: Address; readonly trustPem: string },
  target: string,
  body: JsonObject,
  headers: Readonly<Record<string, string>> = {},
): Promise<{ readonly status: number; readonly text: string }> {
  const response = await httpClient.request({
    address: server.address,
    tls: { trustPem: server.trustPem },
    method: 'POST',
    target,
    headers: { 'content-type': 'application/json', ...headers },
    body: utf8(JSON.stringify(body)),
    timeoutMs: requestTimeoutMs,
    bodyTimeoutMs: requestTimeoutMs,
  });
  const text = strictTextOf(await readBody(response.body, answerBytesMax));
  return { status: response.status, text };
}

/** The message of a Status object, where the answer is one. */
export function messageOf(text: string): string | undefined {
  try {
    const status: unknown = JSON.parse(text);
    const message = isJsonObject(status) ? status['message'] : undefined;
    return typeof message === 'string' ? message : undefined;
  } catch {
    // Something between us and the server has answered in its own way.
    return undefined;
  }
}

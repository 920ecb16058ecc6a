/**
 * A node's own identity, on its own disk: the key never leaves it.
 *
 *   identity/key.pem          private key, made before joining (and public-key.pem)
 *   identity/ca.pem           the authority of the fleet
 *   identity/connection.json  where the hub listens
 *   identity/certificate.pem  written last: it being there means that this node has joined
 */
import { assert, isJsonObject, SelvageError, strictTextOf, utf8 } from '#base/mod.ts';
import {
  type Address,
  type ClientTls,
  type Disk,
  type HttpClient,
  type KeyPair,
  type Keys,
  readBody,
} from '#platform/io/mod.ts';
import { authorityPinOf, parseJoinToken } from './token-text.ts';

export interface NodeIdentity {
  readonly nodeName: string;
  readonly hubAddress: Address;
  readonly tls: ClientTls;
}

/** Where and with what to join. */
export interface JoinDirections {
  readonly server: Address;
  readonly caPem: string;
  readonly token: string;
}

const fileBytesMax = 64 * 1024;
const answerBytesMax = 256 * 1024;
const joinTimeoutMs = 20_000;

/** What `joinFleet` has left on this disk; undefined for a node that has not joined. */
export async function loadNodeIdentity(disk: Disk): Promise<NodeIdentity | undefined> {
  const read = async (name: string): Promise<string | undefined> => {
    const bytes = await disk.readFile(`identity/${name}`, fileBytesMax);
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
  const { nodeName, hubAddress } = JSON.parse(connection) as Pick<
    NodeIdentity,
    'nodeName' | 'hubAddress'
  >;
  return {
    nodeName,
    hubAddress,
    tls: { credentials: { certificatePem, privateKeyPem }, trustPem },
  };
}

/**
 * The key pair of an earlier attempt, or a new one, durable before it is used: a
 * token answers the same key again where an answer was lost on the way.
 */
async function keptKeyPair(disk: Disk, keys: Keys): Promise<KeyPair> {
  const privateKey = await disk.readFile('identity/key.pem', fileBytesMax);
  const publicKey = await disk.readFile('identity/public-key.pem', fileBytesMax);
  if (privateKey !== undefined && publicKey !== undefined) {
    return { privateKeyPem: strictTextOf(privateKey), publicKeyPem: strictTextOf(publicKey) };
  }
  const pair = await keys.createKeyPair();
  await disk.writeFileAtomic('identity/key.pem', utf8(pair.privateKeyPem), 0o600);
  await disk.writeFileAtomic('identity/public-key.pem', utf8(pair.publicKeyPem), 0o600);
  return pair;
}

/**
 * Joins with a token: makes the key, has the server certify it, keeps all of it
 * durably. Throws SelvageError IDENTITY_JOIN_REFUSED with the server's own words,
 * or what the network said; trying again with the same key is safe.
 */
export async function joinFleet(
  ports: { readonly disk: Disk; readonly keys: Keys; readonly httpClient: HttpClient },
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
  const pair = await keptKeyPair(disk, keys);
  const certificateRequestPem = await keys.createRequest(pair, {
    commonName: `system:node:${nodeName}`,
    organizations: ['system:nodes'],
  });
  const response = await httpClient.request({
    address: directions.server,
    tls: { trustPem: directions.caPem },
    method: 'POST',
    target: '/apis/selvage.dev/v1/nodejoins',
    headers: {
      'content-type': 'application/json',
      authorization: `Bearer ${directions.token}`,
    },
    body: utf8(JSON.stringify({ nodeName, certificateRequestPem })),
    timeoutMs: joinTimeoutMs,
  });
  const text = strictTextOf(await readBody(response.body, answerBytesMax));
  if (response.status !== 201 && response.status !== 200) {
    const words = messageOf(text) ?? `status ${response.status}`;
    const message = `the server did not let ${nodeName} join: ${words}`;
    // A server that is not well may be by the next attempt; a refusal stays one.
    throw response.status >= 500
      ? new SelvageError('IDENTITY_JOIN_FAILED', message, { retryable: true })
      : new SelvageError('IDENTITY_JOIN_REFUSED', message);
  }
  const answer = JSON.parse(text) as {
    certificatePem: string;
    caPem: string;
    linkAddress: Address;
  };
  assert(answer.certificatePem.length > 0, 'a join answers with a certificate');
  const connection = { nodeName, hubAddress: answer.linkAddress };
  await disk.writeFileAtomic('identity/ca.pem', utf8(answer.caPem), 0o600);
  await disk.writeFileAtomic('identity/connection.json', utf8(JSON.stringify(connection)), 0o600);
  await disk.writeFileAtomic('identity/certificate.pem', utf8(answer.certificatePem), 0o600);
  const identity = await loadNodeIdentity(disk);
  assert(identity !== undefined, 'an identity that was written can be read');
  return identity;
}

/** The message of a Status object, where the answer is one. */
function messageOf(text: string): string | undefined {
  try {
    const status: unknown = JSON.parse(text);
    const message = isJsonObject(status) ? status['message'] : undefined;
    return typeof message === 'string' ? message : undefined;
  } catch {
    // Something between us and the server has answered in its own way.
    return undefined;
  }
}

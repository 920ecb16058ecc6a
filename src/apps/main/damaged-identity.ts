/**
 * Whether the files of a node's identity are what was written. A node whose key or
 * certificate is damaged is nobody to the server, and only a person can say that it
 * may come back: the agent does not start, says which file it is and what to do, and
 * its pods go on. What can be made again from the key is set aside and made again.
 */
import { createPrivateKey, createPublicKey, verify, X509Certificate } from 'node:crypto';
import { CommandFailure } from '#apps/cli/mod.ts';
import { errorText, isJsonObject, SelvageError, strictTextOf, utf8 } from '#base/mod.ts';
import type { Disk, Logger } from '#platform/io/mod.ts';
import { setAside } from '#roles/agent/mod.ts';

const fileBytesMax = 64 * 1024;
const requestLabel = 'CERTIFICATE REQUEST';

/** Does nothing for a node that has not joined. Throws CommandFailure. */
export async function checkIdentity(disk: Disk, logger: Logger): Promise<void> {
  if ((await disk.readFile('identity/certificate.pem', fileBytesMax)) === undefined) return;
  const checked = async <T>(name: string, parse: (text: string) => T): Promise<T | undefined> => {
    const path = `identity/${name}`;
    const bytes = await disk.readFile(path, fileBytesMax);
    if (bytes === undefined) return undefined;
    try {
      return parse(strictTextOf(bytes));
    } catch (thrown) {
      throw damaged(disk, path, errorText(thrown));
    }
  };
  await checked('connection.json', (text) => {
    if (!isJsonObject(JSON.parse(text))) throw new SelvageError('IDENTITY_DAMAGED', 'no object');
  });
  await checked('ca.pem', (text) => new X509Certificate(text));
  const certificate = await checked('certificate.pem', (text) => new X509Certificate(text));
  const key = await checked('key.pem', createPrivateKey);
  if (key === undefined || certificate === undefined) return;
  if (!certificate.checkPrivateKey(key)) {
    throw damaged(disk, 'identity/key.pem', 'the certificate beside it is for another key');
  }
  const publicKey = createPublicKey(key);
  const publicPem = String(publicKey.export({ type: 'spki', format: 'pem' }));
  const rest: readonly [string, (text: string) => boolean][] = [
    ['identity/public-key.pem', (text) => text === publicPem],
    ['identity/request.pem', (text) => isSignedBy(text, publicKey)],
  ];
  for (const [path, isWhole] of rest) {
    const bytes = await disk.readFile(path, fileBytesMax);
    if (bytes === undefined || isWhole(Buffer.from(bytes).toString('utf8'))) continue;
    await setAside(disk, path, logger, 'it does not belong to the key of this node');
  }
  // The request is made again when it is needed; without this file so would be the key.
  if ((await disk.readFile('identity/public-key.pem', fileBytesMax)) === undefined) {
    await disk.writeFileAtomic('identity/public-key.pem', utf8(publicPem), 0o600);
  }
}

function damaged(disk: Disk, path: string, why: string): CommandFailure {
  return new CommandFailure(
    `${disk.absolute(path)} is damaged: ${why}.\n` +
      'Nothing was changed, and pods of this node go on as they are. Put the file back from a copy; ' +
      'or move the folder "identity" aside, delete the Node on the server, and join again with a new token (selvage join-token).',
  );
}

/** Of a request as this program writes it: a sequence of what is signed, how, and the signature. */
function isSignedBy(requestPem: string, publicKey: ReturnType<typeof createPublicKey>): boolean {
  const body = requestPem.replaceAll(
    new RegExp(`-----(?:BEGIN|END) ${requestLabel}-----|\n`, 'g'),
    '',
  );
  const bytes = Buffer.from(body, 'base64');
  if (bytes.toString('base64') !== body) return false;
  const whole = elementAt(bytes, 0);
  const signed = elementAt(bytes, whole.content);
  const signature = elementAt(bytes, elementAt(bytes, signed.end).end);
  if (whole.end !== bytes.length || signature.end !== bytes.length) return false;
  // A bit string begins with the number of unused bits.
  const signatureBytes = bytes.subarray(signature.content + 1, signature.end);
  return verify('sha256', bytes.subarray(whole.content, signed.end), publicKey, signatureBytes);
}

/** Where the content of a DER element begins and ends; beyond the bytes where it is none. */
function elementAt(bytes: Buffer, offset: number): { content: number; end: number } {
  const first = bytes[offset + 1] ?? 0;
  const lengthBytes = first < 0x80 ? 0 : first & 0x7f;
  const content = offset + 2 + lengthBytes;
  if (lengthBytes > 4 || content > bytes.length) return { content, end: Infinity };
  return {
    content,
    end: content + (lengthBytes === 0 ? first : bytes.readUIntBE(offset + 2, lengthBytes)),
  };
}

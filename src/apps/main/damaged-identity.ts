/**
 * Whether the files of a node's identity are what was written. A node whose key or
 * certificate is damaged is nobody to the server, and only a person can say that it
 * may come back: the agent does not start, says which file it is and what to do, and
 * its pods go on. What can be made again from the key is set aside and made again.
 */
import { createPrivateKey, createPublicKey, verify } from 'node:crypto';
import {
  type AgentProcessOptions,
  CommandFailure,
  damageOfIdentity,
  type IdentityDamage,
  joinAnewCommands,
} from '#apps/cli/mod.ts';
import { strictTextOf, utf8 } from '#base/mod.ts';
import type { Disk, Logger } from '#platform/io/mod.ts';
import { setAside } from '#roles/agent/mod.ts';

const fileBytesMax = 64 * 1024;
const requestLabel = 'CERTIFICATE REQUEST';

/** Does nothing for a node that has not joined. Throws CommandFailure. */
export async function checkIdentity(
  disk: Disk,
  options: AgentProcessOptions,
  logger: Logger,
): Promise<void> {
  const damage = await damageOfIdentity(disk);
  if (damage !== undefined) throw asFailure(damage, options);
  const keyPem = await disk.readFile('identity/key.pem', fileBytesMax);
  if (keyPem === undefined) return;
  if ((await disk.readFile('identity/certificate.pem', fileBytesMax)) === undefined) return;
  const key = createPrivateKey(strictTextOf(keyPem));
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

function asFailure({ path, why }: IdentityDamage, options: AgentProcessOptions): CommandFailure {
  const { nodeName, stateFolder, joinFile = 'join.json' } = options;
  const commands = joinAnewCommands({
    ...{ nodeName, stateFolder, joinFile },
    ...{ site: 'SITE', program: 'selvage' },
  });
  const lines = [
    `${path} is damaged: ${why}.`,
    'Nothing was changed, and pods of this node go on as they are. Put the file back from a copy;',
    'or let this machine join again with a new key. Its Node is deleted and made anew for that, and',
    `its pods are replaced. The first of these here, the others where there is access to the fleet`,
    `(kubectl get node ${nodeName} -o wide tells its SITE):`,
    ...commands.map((command) => `  ${command}`),
    `Then have the join file at ${joinFile} on this machine and start this agent again with`,
    `  --join-file ${joinFile}`,
  ];
  return new CommandFailure(lines.join('\n'));
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

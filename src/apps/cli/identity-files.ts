/**
 * Whether the files of a node's identity are what was written, and how a machine joins
 * anew where they are not: its key is what it is known by, and only a person can say
 * that the machine may come back with another.
 */
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { errorText, isJsonObject, SelvageError, strictTextOf } from '#base/mod.ts';
import type { Disk } from '#platform/io/mod.ts';

export interface IdentityDamage {
  /** Absolute path of the file. */
  readonly path: string;
  readonly why: string;
}

const fileBytesMax = 64 * 1024;
/** Without the certificate a node has not joined; with it all the others are there. */
const certificatePath = 'identity/certificate.pem';

/** `disk` is the state folder of an agent. Undefined for whole files, and for a node that has not joined. */
export async function damageOfIdentity(disk: Disk): Promise<IdentityDamage | undefined> {
  if ((await disk.readFile(certificatePath, fileBytesMax)) === undefined) return undefined;
  const at = (path: string, why: string): IdentityDamage => ({ path: disk.absolute(path), why });
  const parsed = async <T>(path: string, parse: (text: string) => T) => {
    const bytes = await disk.readFile(path, fileBytesMax);
    if (bytes === undefined) return at(path, 'it is gone');
    try {
      return { value: parse(strictTextOf(bytes)) };
    } catch (thrown) {
      return at(path, errorText(thrown));
    }
  };
  const connection = await parsed('identity/connection.json', requireConnection);
  if ('why' in connection) return connection;
  const authority = await parsed('identity/ca.pem', (text) => new X509Certificate(text));
  if ('why' in authority) return authority;
  const certificate = await parsed(certificatePath, (text) => new X509Certificate(text));
  if ('why' in certificate) return certificate;
  const key = await parsed('identity/key.pem', createPrivateKey);
  if ('why' in key) return key;
  if (certificate.value.checkPrivateKey(key.value)) return undefined;
  return at('identity/key.pem', 'the certificate beside it is for another key');
}

function requireConnection(text: string): void {
  const value: unknown = JSON.parse(text);
  const fields = ['nodeName', 'hubAddress', 'apiAddress'];
  if (isJsonObject(value) && fields.every((field) => value[field] !== undefined)) return;
  throw new SelvageError('IDENTITY_DAMAGED', `it does not have ${fields.join(', ')}`);
}

/** The first steps of joining anew; what is left is to start the agent with that join file. */
export function joinAnewCommands(options: {
  readonly nodeName: string;
  /** Absolute paths: of the agent's state, and of the join file to be written. */
  readonly stateFolder: string;
  readonly joinFile: string;
  /** `SITE` where it is not known. */
  readonly site: string;
  /** How this program is called, and access to the fleet where it is not the default. */
  readonly program: string;
  readonly kubeconfigPath?: string;
}): readonly string[] {
  const { nodeName, stateFolder, joinFile, site, program, kubeconfigPath } = options;
  const access = kubeconfigPath === undefined ? '' : ` --kubeconfig ${kubeconfigPath}`;
  return [
    `mv ${stateFolder}/identity ${stateFolder}/identity.damaged`,
    `kubectl${access} delete node ${nodeName}`,
    `${program} join-token --site ${site} --file ${joinFile}${access}`,
  ];
}

/**
 * What a kubeconfig says of its current context, read as kubectl reads it: certificates
 * within it or in files beside it, a token, several files between colons.
 *
 * Invariant: nothing of a key or token is ever part of an error.
 */
import { isJsonObject, type JsonObject, textOf } from '#base/mod.ts';
import type { Address, ClientTls } from '#platform/io/mod.ts';
import { parse } from 'yaml';
import { type CliContext, CommandFailure } from './context.ts';
import { resolvePath, splitPath } from './paths.ts';

const fileBytesMax = 1024 * 1024;
/** Ways to sign in that need another program, or that no server of this project takes. */
const unknownWays = ['exec', 'auth-provider', 'username', 'password'] as const;

export interface AccessFile {
  readonly address: Address;
  readonly tls: ClientTls;
  /** Absent where a certificate or nothing says who asks. */
  readonly token?: string;
}

/** An entry of a kubeconfig, and the folder that the paths in it count from. */
interface Entry {
  readonly fields: JsonObject;
  readonly folder: string;
  readonly path: string;
}

/** `paths`: one absolute path, or several between colons. Throws CommandFailure with what is wrong. */
export async function readAccessFile(context: CliContext, paths: string): Promise<AccessFile> {
  const files = await filesOf(context, paths);
  const named = (list: string, name: unknown): Entry | undefined => {
    for (const { config, folder, path } of files) {
      const entries: readonly unknown[] = Array.isArray(config[list]) ? config[list] : [];
      const found = entries.find((entry) => isJsonObject(entry) && entry['name'] === name);
      const singular = list.slice(0, -1);
      if (isJsonObject(found)) {
        const fields = found[singular];
        return { fields: isJsonObject(fields) ? fields : {}, folder, path };
      }
    }
    return undefined;
  };
  const current = files.map(({ config }) => config['current-context']).find(Boolean);
  if (current === undefined) throw new CommandFailure(`${paths}: current-context is missing.`);
  const chosen = named('contexts', current);
  if (chosen === undefined) {
    throw new CommandFailure(`${paths}: there is no context ${JSON.stringify(current)}.`);
  }
  const cluster = named('clusters', chosen.fields['cluster']);
  const user = named('users', chosen.fields['user']);
  if (cluster === undefined) {
    throw new CommandFailure(`${chosen.path}: the cluster of its current context is missing.`);
  }
  if (user === undefined) {
    throw new CommandFailure(`${chosen.path}: the user of its current context is missing.`);
  }
  return {
    address: addressOf(cluster),
    tls: {
      trustPem: await trustOf(context, cluster),
      ...serverNameOf(cluster),
      ...(await credentialsOf(context, user)),
    },
    ...(await tokenOf(context, user)),
  };
}

async function filesOf(
  context: CliContext,
  paths: string,
): Promise<readonly { config: JsonObject; folder: string; path: string }[]> {
  const files = [];
  for (const path of paths.split(':').filter((part) => part !== '')) {
    const { folder, name } = splitPath(resolvePath(context.workingDirectory, path));
    const bytes = await context.diskAt(folder).readFile(name, fileBytesMax);
    if (bytes === undefined) continue;
    let config: unknown;
    try {
      config = parse(textOf(bytes));
    } catch {
      throw new CommandFailure(`${path} is not YAML.`);
    }
    if (!isJsonObject(config)) throw new CommandFailure(`${path} is not a kubeconfig.`);
    files.push({ config, folder, path });
  }
  if (files.length > 0) return files;
  throw new CommandFailure(
    `there is no kubeconfig at ${paths}. Start a fleet with 'selvage up', or name the file with --kubeconfig.`,
  );
}

function addressOf({ fields, path }: Entry): Address {
  const text = fields['server'];
  const url = typeof text === 'string' ? URL.parse(text) : null;
  if (url === null || url.protocol !== 'https:') {
    throw new CommandFailure(`${path}: server of its cluster must be an https:// address.`);
  }
  return { host: url.hostname, port: Number(url.port === '' ? 443 : url.port) };
}

async function trustOf(context: CliContext, cluster: Entry): Promise<string> {
  if (cluster.fields['insecure-skip-tls-verify'] === true) {
    throw new CommandFailure(
      `${cluster.path}: insecure-skip-tls-verify is not done here; give certificate-authority.`,
    );
  }
  const trustPem = await pemOf(context, cluster, 'certificate-authority');
  if (trustPem !== undefined) return trustPem;
  throw new CommandFailure(
    `${cluster.path}: certificate-authority-data is missing in its current context.`,
  );
}

function serverNameOf({ fields }: Entry): { serverName?: string } {
  const name = fields['tls-server-name'];
  return typeof name === 'string' ? { serverName: name } : {};
}

async function credentialsOf(
  context: CliContext,
  user: Entry,
): Promise<Pick<ClientTls, 'credentials'>> {
  const way = unknownWays.find((name) => user.fields[name] !== undefined);
  if (way !== undefined) {
    throw new CommandFailure(
      `${user.path}: ${way} of its user is not known here; client-certificate with client-key, and token are.`,
    );
  }
  const certificatePem = await pemOf(context, user, 'client-certificate');
  const privateKeyPem = await pemOf(context, user, 'client-key');
  if (certificatePem !== undefined && privateKeyPem !== undefined) {
    return { credentials: { certificatePem, privateKeyPem } };
  }
  if (certificatePem === undefined && privateKeyPem === undefined) {
    const hasToken = user.fields['token'] !== undefined || user.fields['tokenFile'] !== undefined;
    if (hasToken) return {};
    throw new CommandFailure(
      `${user.path}: its user has neither client-certificate-data with client-key-data nor a token.`,
    );
  }
  const missing = certificatePem === undefined ? 'client-certificate-data' : 'client-key-data';
  throw new CommandFailure(`${user.path}: ${missing} is missing in its current context.`);
}

async function tokenOf(context: CliContext, { fields, folder, path }: Entry) {
  const { token, tokenFile } = fields;
  if (typeof token === 'string' && token !== '') return { token };
  if (typeof tokenFile !== 'string') return {};
  const text = (await fileText(context, resolvePath(folder, tokenFile))).trim();
  if (text === '') throw new CommandFailure(`${path}: tokenFile ${tokenFile} is empty.`);
  return { token: text };
}

/** `NAME-data` in base64, else the file that `NAME` names. Undefined where there is neither. */
async function pemOf(
  context: CliContext,
  { fields, folder, path }: Entry,
  name: string,
): Promise<string | undefined> {
  const data = fields[`${name}-data`];
  const file = fields[name];
  let pem: string;
  if (typeof data === 'string' && data !== '') pem = Buffer.from(data, 'base64').toString('utf8');
  else if (typeof file === 'string') pem = await fileText(context, resolvePath(folder, file));
  else return undefined;
  if (/^-----BEGIN [A-Z ]+-----$/m.test(pem)) return pem;
  const field = typeof data === 'string' && data !== '' ? `${name}-data` : name;
  throw new CommandFailure(`${path}: ${field} holds no PEM.`);
}

async function fileText(context: CliContext, path: string): Promise<string> {
  const { folder, name } = splitPath(path);
  const bytes = await context.diskAt(folder).readFile(name, fileBytesMax);
  if (bytes === undefined) throw new CommandFailure(`there is no file ${path}.`);
  return textOf(bytes);
}

/**
 * The API as commands reach it: through a kubeconfig, with the client
 * certificate in it, as kubectl would.
 */
import { textOf } from '#base/mod.ts';
import { type Client, createClient, httpTransport, type Transport } from '#platform/client/mod.ts';
import type { Address, ClientTls } from '#platform/io/mod.ts';
import { parse } from 'yaml';
import { type CliContext, CommandFailure, exitCodes } from './context.ts';
import { splitPath } from './paths.ts';

const kubeconfigBytesMax = 1024 * 1024;

export interface ApiAccess {
  readonly address: Address;
  readonly tls: ClientTls;
  readonly client: Client;
  readonly transport: Transport;
}

interface Kubeconfig {
  readonly clusters?: readonly { name: string; cluster: Record<string, string> }[];
  readonly users?: readonly { name: string; user: Record<string, string> }[];
  readonly contexts?: readonly { name: string; context: { cluster: string; user: string } }[];
  readonly 'current-context'?: string;
}

/** Reads a kubeconfig with embedded certificates. Throws CommandFailure with what is missing. */
export async function openApi(context: CliContext, kubeconfigPath: string): Promise<ApiAccess> {
  const { folder, name } = splitPath(kubeconfigPath);
  const bytes = await context.diskAt(folder).readFile(name, kubeconfigBytesMax);
  if (bytes === undefined) {
    throw new CommandFailure(
      `there is no kubeconfig at ${kubeconfigPath}. Start a fleet with 'selvage up', or name the file with --kubeconfig.`,
    );
  }
  const config = parse(textOf(bytes)) as Kubeconfig;
  const current = config.contexts?.find((entry) => entry.name === config['current-context']);
  const cluster = config.clusters?.find((entry) => entry.name === current?.context.cluster);
  const user = config.users?.find((entry) => entry.name === current?.context.user);
  const need = (value: string | undefined, field: string): string => {
    if (value === undefined) {
      throw new CommandFailure(`${kubeconfigPath}: ${field} is missing in its current context.`);
    }
    return value;
  };
  const pem = (value: string | undefined, field: string): string =>
    Buffer.from(need(value, field), 'base64').toString('utf8');
  const server = new URL(need(cluster?.cluster['server'], 'cluster.server'));
  const address = { host: server.hostname, port: Number(server.port === '' ? 443 : server.port) };
  const tls: ClientTls = {
    trustPem: pem(cluster?.cluster['certificate-authority-data'], 'certificate-authority-data'),
    credentials: {
      certificatePem: pem(user?.user['client-certificate-data'], 'client-certificate-data'),
      privateKeyPem: pem(user?.user['client-key-data'], 'client-key-data'),
    },
  };
  const transport = httpTransport(context.httpClient, { address, tls });
  return {
    address,
    tls,
    transport,
    client: createClient(transport, { userAgent: `selvage/${context.productVersion}` }),
  };
}

/** The answer to one plain request of the API, or CommandFailure when nothing answers. */
export async function requestApi(
  access: ApiAccess,
  method: string,
  target: string,
  body?: { readonly contentType: string; readonly bytes: Uint8Array },
): Promise<{
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly bytes: Uint8Array;
}> {
  try {
    const response = await access.transport({
      method,
      target,
      headers: body === undefined ? {} : { 'content-type': body.contentType },
      ...(body === undefined ? {} : { body: body.bytes }),
    });
    const parts: Uint8Array[] = [];
    for await (const part of response.body) parts.push(part);
    return { status: response.status, headers: response.headers, bytes: Buffer.concat(parts) };
  } catch (error) {
    throw new CommandFailure(
      `the server at ${access.address.host}:${access.address.port} does not answer (${error instanceof Error ? error.message : String(error)}).`,
      exitCodes.unreachable,
    );
  }
}

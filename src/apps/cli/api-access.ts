/**
 * The API as commands reach it: through a kubeconfig, with the client
 * certificate or the token in it, as kubectl would.
 */
import { type Client, createClient, httpTransport, type Transport } from '#platform/client/mod.ts';
import type { Address, ClientTls } from '#platform/io/mod.ts';
import { readAccessFile } from './access-file.ts';
import { type CliContext, CommandFailure, exitCodes } from './context.ts';

export interface ApiAccess {
  readonly address: Address;
  readonly tls: ClientTls;
  readonly client: Client;
  readonly transport: Transport;
}

/** Reads a kubeconfig, or several between colons. Throws CommandFailure with what is wrong. */
export async function openApi(context: CliContext, kubeconfigPath: string): Promise<ApiAccess> {
  const { address, tls, token } = await readAccessFile(context, kubeconfigPath);
  const direct = httpTransport(context.httpClient, { address, tls });
  const transport: Transport =
    token === undefined
      ? direct
      : (request) =>
          direct({ ...request, headers: { ...request.headers, authorization: `Bearer ${token}` } });
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

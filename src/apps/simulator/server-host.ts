/** The server's process on a simulated machine: the real assembly over the machine's ports. */
import { assembleServer, type AssembledServer } from '#apps/assembly/mod.ts';
import type { Credentials } from '#platform/io/mod.ts';
import type { Host } from '#platform/sim/mod.ts';
import { apiAddress, linkAddress, productVersion } from './constants.ts';

const stateFolder = 'selvage/server';
export const storeFolder = `${stateFolder}/store`;
const heartbeatIntervalMs = 2_000;

export interface RunningServer extends AssembledServer {
  /** A certificate for the operator, as the real one writes it into the kubeconfig. */
  readonly admin: Credentials;
}

/** Never resolves after a crash of the process. */
export async function startServerOn(host: Host): Promise<RunningServer> {
  const { clock, timers, random, logger, keys, net, httpServer, disk } = host.ports;
  await disk.makeDirectory(stateFolder);
  const server = await assembleServer(
    { disk: disk.within(stateFolder), clock, timers, random, keys, net, httpServer, logger },
    {
      apiAddress,
      linkAddress,
      podNetwork: '127.1',
      heartbeatIntervalMs,
      version: {
        version: productVersion,
        gitCommit: '',
        buildDate: '1970-01-01T00:00:00Z',
        platform: 'linux/amd64',
      },
    },
  );
  const admin = await server.authority.issueClient({
    commonName: 'admin',
    organizations: ['system:masters'],
  });
  return { ...server, admin };
}

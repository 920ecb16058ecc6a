/** The server's process on a simulated machine: the real assembly over the machine's ports. */
import { assembleServer, type AssembledServer } from '#apps/assembly/mod.ts';
import type { Credentials } from '#platform/io/mod.ts';
import type { Host } from '#platform/sim/mod.ts';
import type { Checkers } from './checkers.ts';
import { apiAddress, linkAddress, productVersion } from './constants.ts';
import type { Pace } from './pace.ts';
import type { Sabotage } from './sabotages.ts';

const stateFolder = 'selvage/server';
export const storeFolder = `${stateFolder}/store`;

export interface RunningServer extends AssembledServer {
  /** A certificate for the operator, as the real one writes it into the kubeconfig. */
  readonly admin: Credentials;
}

/** Never resolves after a crash of the process. */
export async function startServerOn(
  host: Host,
  checkers: Checkers,
  sabotage: Partial<Sabotage>,
  { heartbeatIntervalMs }: Pace,
): Promise<RunningServer> {
  const { clock, timers, random, logger, keys, net, httpServer, disk } = host.ports;
  await disk.makeDirectory(stateFolder);
  const folder = disk.within(stateFolder);
  const watchedHttp = checkers.serverHttp(httpServer);
  const server = await assembleServer(
    {
      disk: sabotage.serverDisk?.(folder) ?? folder,
      clock,
      timers,
      random,
      keys,
      net: checkers.serverNet(net),
      httpServer: sabotage.httpServer?.(watchedHttp) ?? watchedHttp,
      logger,
    },
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
    checkers.serverSeams(host),
  );
  const admin = await server.authority.issueClient({
    commonName: 'admin',
    organizations: ['system:masters'],
  });
  return { ...server, admin };
}

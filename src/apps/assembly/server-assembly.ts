/**
 * The server put together from its roles over whatever ports it is handed: real
 * ones in apps/main, simulated ones in apps/simulator. There is no other place
 * that knows which parts a server has.
 *
 * Order matters when it ends: nothing new comes in, then the roles stop, then the
 * stores close.
 */
import { assert, strictTextOf, utf8 } from '#base/mod.ts';
import {
  builtInDefinitions,
  type DefinitionRegistry,
  resourceName,
  serviceNetworkFor,
} from '#platform/api/mod.ts';
import { type AuditLog, openAuditLog } from '#platform/audit/mod.ts';
import { createImageCatalog, createRegistryHandler, openBlobStore } from '#platform/blobs/mod.ts';
import { type Client, createClient, handlerTransport } from '#platform/client/mod.ts';
import {
  type CertificateAuthority,
  createJoinTokens,
  createNodeCertificates,
  createServiceAccountTokens,
  nodeCertificateLifeMsDefault,
  openCertificateAuthority,
  openTokenSigner,
} from '#platform/identity/mod.ts';
import type {
  Address,
  Clock,
  Credentials,
  Disk,
  HttpServer,
  Keys,
  Logger,
  Net,
  PeerIdentity,
  Random,
  RefusedRequest,
  Timers,
} from '#platform/io/mod.ts';
import { createMetrics, measuredDisk, type Metrics } from '#platform/metrics/mod.ts';
import { openStore, type Store } from '#platform/store/mod.ts';
import { startControllers } from '#roles/controllers/mod.ts';
import { createHub, type Hub, hubIndexes } from '#roles/hub/mod.ts';
import { createServer, type VersionInfo } from '#roles/server/mod.ts';
import { type FrontStarter, openApiFronts } from './api-fronts.ts';
import { backupOf } from './backup.ts';
import { openDivergence } from './divergence.ts';
import { createRevocationGuard } from './revocation-guard.ts';
import { observeAudit, observeServer } from './server-metrics.ts';

export interface ServerPorts {
  /** The server's own state folder. */
  readonly disk: Disk;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly random: Random;
  readonly keys: Keys;
  readonly net: Net;
  readonly httpServer: HttpServer;
  readonly logger: Logger;
  /** Starts the processes that listen for the API; absent: this one listens by itself. */
  readonly apiFronts?: FrontStarter;
  /** A folder for the audit log; absent: requests are not recorded. */
  readonly auditDisk?: Disk;
  /** Where the process counts what it does; absent: a registry of the server's own. */
  readonly metrics?: Metrics;
}

export interface ServerAssemblyOptions {
  readonly apiAddress: Address;
  readonly linkAddress: Address;
  /** By which nodes and people reach this machine; where it listens, if absent. */
  readonly advertisedHost?: string | undefined;
  /** First two numbers of the pods' addresses, e.g. `127.1`. */
  readonly podNetwork: string;
  /** First two numbers of the addresses of services; by the pods' where absent. */
  readonly serviceNetwork?: string | undefined;
  readonly heartbeatIntervalMs: number;
  /** How long nodes' certificates live; 24 hours where absent. */
  readonly nodeCertificateLifeMs?: number;
  /** Bytes of the audit log that are kept. */
  readonly auditRetainBytesMax?: number;
  readonly version: VersionInfo;
}

/** The parts that have a store of their own to speak to, as far as one can tell. */
export type StorePart = 'hub' | 'server' | 'identity' | 'images';

/** Where an observer may come between the parts; production hands in none. */
export interface AssemblySeams {
  /** What that part gets in place of the store. */
  store?(store: Store, part: StorePart): Store;
}

export interface AssembledServer {
  readonly apiAddress: Address;
  readonly linkAddress: Address;
  readonly authority: CertificateAuthority;
  readonly store: Store;
  /** A client inside this process, through the same door as everybody. */
  clientFor(user: string, group: string): Client;
  close(): Promise<void>;
}

/** Who issues the tokens of ServiceAccounts, the same name for as long as the fleet lives. */
const tokenIssuer = 'https://kubernetes.default.svc';
const apiConnectionsMax = 8_000;
const linkConnectionsMax = 10_000;
const eventsMax = 10_000;
const eventAgeMaxMs = 24 * 3_600_000;
const serverFile = 'authority/server.json';
const storedCredentialsBytesMax = 64 * 1024;
/** A server's certificate is made anew when it has less than this left. */
const certificateRenewBeforeMs = 30 * 86_400_000;

/** Opens the stores, starts the roles and listens. Rejects where a folder or port cannot be had. */
export async function assembleServer(
  ports: ServerPorts,
  options: ServerAssemblyOptions,
  seams: AssemblySeams = {},
): Promise<AssembledServer> {
  const { disk, clock, timers, random, keys, logger } = ports;
  for (const folder of ['', 'store', 'events', 'blobs', 'authority']) {
    await disk.makeDirectory(folder);
  }
  const metrics = ports.metrics ?? createMetrics();
  const store = await openStore(
    {
      disk: measuredDisk(disk.within('store'), 'store', metrics, clock),
      random,
      clock,
      timers,
      logger,
    },
    { indexes: hubIndexes },
  );
  const storeOf = (part: StorePart): Store => seams.store?.(store, part) ?? store;
  const eventStore = await openStore(
    {
      disk: measuredDisk(disk.within('events'), 'events', metrics, clock),
      random,
      clock,
      timers,
      logger,
    },
    { retain: { resource: 'events', objectsMax: eventsMax, ageMaxMs: eventAgeMaxMs } },
  );
  const audit = await openAudit(ports, metrics, options.auditRetainBytesMax);
  const authority = await openCertificateAuthority({
    disk: disk.within('authority'),
    keys,
    clock,
    random,
  });
  const nodeCertificateLifeMs = options.nodeCertificateLifeMs ?? nodeCertificateLifeMsDefault;
  const nodeCertificates = createNodeCertificates({
    store: storeOf('identity'),
    authority,
    keys,
    clock,
    lifeMs: nodeCertificateLifeMs,
  });
  const serviceAccountTokens = createServiceAccountTokens({
    store: storeOf('identity'),
    signer: await openTokenSigner({ disk: disk.within('authority'), keys }),
    clock,
    random,
    issuer: tokenIssuer,
  });
  const revocationGuard = createRevocationGuard(nodeCertificates);
  const isRevoked = (serialNumber: string): boolean => nodeCertificates.isRevoked(serialNumber);
  const blobs = await openBlobStore({ disk: disk.within('blobs'), random, logger });
  const images = createImageCatalog(storeOf('images'), blobs, random);

  const credentials = await serverCredentials(ports, authority, options);
  let linkAddress: Address = options.linkAddress;
  let apiAddress: Address = options.apiAddress;
  let closing = false;

  const divergence = await openDivergence({
    ...{ disk, clock, random, keys, logger, store },
    copies: () => hub.copies,
  });
  const hub: Hub = createHub(
    {
      history: {
        formerIncarnations: () => store.formerIncarnations,
        onDiverged: (nodeName, reason, epoch) => divergence.found(nodeName, reason, epoch),
      },
      store: storeOf('hub'),
      client: lazyClient(() => clientFor('system:hub', 'system:controllers')),
      clock,
      timers,
      random,
      logger: logger.with({ role: 'hub' }),
      blobs,
      images,
      definitions: builtInDefinitions,
      podTokens: {
        async issue(order) {
          const { namespace, accountName: name, accountUid: uid, audience, lifeSeconds } = order;
          const issued = await serviceAccountTokens.issue({
            ...{ namespace, name, uid, lifeSeconds, nodeName: order.nodeName },
            audiences: audience === '' ? [] : [audience],
            binding: { kind: 'Pod', name: order.podName, uid: order.podUid },
          });
          return { ...issued, apiPort: apiAddress.port };
        },
      },
    },
    { heartbeatIntervalMs: options.heartbeatIntervalMs },
  );
  const server = await createServer({
    store: storeOf('server'),
    eventStore,
    definitions: builtInDefinitions,
    clock,
    timers,
    random,
    logger: logger.with({ role: 'server' }),
    joinTokens: createJoinTokens({
      store: storeOf('identity'),
      authority,
      keys,
      clock,
      random,
      podNetwork: options.podNetwork,
      certificateLifeMs: nodeCertificateLifeMs,
    }),
    nodeCertificates,
    serviceAccountTokens,
    podLogs: hub.podLogs,
    serviceNetwork: options.serviceNetwork ?? serviceNetworkFor(options.podNetwork),
    podStreams: hub.podStreams,
    nodeLiveness: (nodeName) => hub.liveness(nodeName),
    usage: hub.usage,
    registryHandler: createRegistryHandler({ blobs, images }),
    divergence,
    backup: () =>
      backupOf({ disk, clock, store, eventStore, productVersion: options.version.version }),
    linkAddress: () => ({ ...linkAddress, host: options.advertisedHost ?? linkAddress.host }),
    version: options.version,
    metrics,
    ...(audit === undefined ? {} : { audit }),
  });
  const clientFor = (user: string, group: string): Client =>
    createClient(handlerTransport(server.handler, inProcessPeer(user, group)), {
      userAgent: `selvage/${options.version.version} ${user}`,
    });

  const trustPem = authority.caPem;
  const linkListener = await ports.net.listen(
    {
      address: options.linkAddress,
      tls: { credentials, trustPem, clientCertificate: 'require', isRevoked },
      connectionsMax: linkConnectionsMax,
    },
    (connection) => {
      if (closing) {
        connection.destroy();
        return;
      }
      hub.accept(connection);
      // After the hub, which then hears of the end like of any other.
      revocationGuard.watchConnection(connection);
    },
  );
  linkAddress = linkListener.address;
  const controllers = startControllers({
    caPem: authority.caPem,
    signUserCertificate: (requestPem, options) => authority.issueUser(requestPem, options),
    clientFor: (name) => clientFor(`system:controller:${name}`, 'system:controllers'),
    clock,
    timers,
    random,
    logger: logger.with({ role: 'controllers' }),
  });
  observeServer(metrics, {
    store,
    eventStore,
    resourceNames: () => storedResourceNames(server.registry),
    connectedNodes: () => hub.connectedNodes(),
    queues: () => controllers.queues(),
  });
  await controllers.ready();
  const handler = revocationGuard.guardAnswers(server.handler);
  const listening = {
    address: options.apiAddress,
    tls: { credentials, trustPem, clientCertificate: 'request', isRevoked },
    connectionsMax: apiConnectionsMax,
    onRefused: (refused: RefusedRequest) => server.refused(refused),
  } as const;
  const { apiFronts: starter } = ports;
  let apiListener = await ports.httpServer.listen(listening, handler);
  if (starter !== undefined) {
    // The address was free for one alone; fronts share it, with anybody of this user.
    await apiListener.close();
    const connectionsMax = Math.ceil(apiConnectionsMax / starter.count);
    const { address } = apiListener;
    const isAudited = audit !== undefined;
    apiListener = await openApiFronts({
      ...{ starter, clock, timers, handler, isRevoked, store, eventStore, audit },
      logger: logger.with({ role: 'fronts' }),
      settings: { address, credentials, trustPem, connectionsMax, isAudited },
      observe: (...observed) => server.observe(...observed),
      onRefused: listening.onRefused,
    });
  }
  apiAddress = apiListener.address;

  return {
    apiAddress,
    linkAddress,
    authority,
    store,
    clientFor,
    async close() {
      assert(!closing, 'a server is closed once');
      closing = true;
      server.close();
      await apiListener.close();
      await controllers.close();
      await hub.close();
      await linkListener.close();
      images.close();
      nodeCertificates.close();
      await divergence.close();
      await store.close();
      await eventStore.close();
      await audit?.close();
    },
  };
}

function storedResourceNames({ definitions }: DefinitionRegistry): readonly string[] {
  const stored = definitions.filter(({ storage }) => storage === 'main');
  return [...new Set(stored.map(resourceName))];
}

async function openAudit(
  { auditDisk, clock, timers, random, logger }: ServerPorts,
  metrics: Metrics,
  retainBytesMax: number | undefined,
): Promise<AuditLog | undefined> {
  if (auditDisk === undefined) return undefined;
  const audit = await openAuditLog(
    { disk: measuredDisk(auditDisk, 'audit', metrics, clock), clock, timers, random, logger },
    retainBytesMax === undefined ? {} : { retainBytesMax },
  );
  observeAudit(metrics, audit);
  return audit;
}

/** The hub records events through the server, which is made after it. */
function lazyClient(make: () => Client): Client {
  let client: Client | undefined;
  const get = (): Client => (client ??= make());
  return {
    get: (...words) => get().get(...words),
    list: (...words) => get().list(...words),
    watch: (...words) => get().watch(...words),
    create: (...words) => get().create(...words),
    update: (...words) => get().update(...words),
    updateStatus: (...words) => get().updateStatus(...words),
    mergePatch: (...words) => get().mergePatch(...words),
    delete: (...words) => get().delete(...words),
    finalize: (...words) => get().finalize(...words),
  };
}

function inProcessPeer(user: string, group: string): PeerIdentity {
  return {
    commonName: user,
    organizations: [group],
    uris: [],
    serialNumber: '0',
    notAfterMs: Number.MAX_SAFE_INTEGER,
  };
}

/** The certificate that both listeners show, kept on disk and renewed in time. */
async function serverCredentials(
  ports: ServerPorts,
  authority: CertificateAuthority,
  options: ServerAssemblyOptions,
): Promise<Credentials> {
  const { disk, keys, clock } = ports;
  const { apiAddress, linkAddress, advertisedHost } = options;
  const listening = [apiAddress.host, linkAddress.host, '127.0.0.1'];
  const hosts = [
    ...new Set([...listening, ...(advertisedHost === undefined ? [] : [advertisedHost])]),
  ];
  const isAddress = (host: string): boolean => /^[0-9.]+$|:/.test(host);
  const names = JSON.stringify(hosts);
  const stored = await disk.readFile(serverFile, storedCredentialsBytesMax);
  if (stored !== undefined) {
    const file = JSON.parse(strictTextOf(stored)) as { names: string } & Credentials;
    const { notAfterMs } = keys.readCertificate(file.certificatePem);
    const lasts = notAfterMs - clock.wallMs() > certificateRenewBeforeMs;
    if (lasts && file.names === names) {
      return { certificatePem: file.certificatePem, privateKeyPem: file.privateKeyPem };
    }
  }
  const credentials = await authority.issueServer({
    dnsNames: ['localhost', ...hosts.filter((host) => !isAddress(host))],
    ipAddresses: hosts.filter(isAddress),
  });
  // One file, so that no crash leaves a key without its certificate.
  await disk.writeFileAtomic(serverFile, utf8(JSON.stringify({ names, ...credentials })));
  return credentials;
}

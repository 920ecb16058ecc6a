/** Names and addresses of the simulated fleet. */
import { builtInDefinitions, resourceName } from '#platform/api/mod.ts';
import { nodeIdentityResource } from '#platform/identity/mod.ts';
import type { Address } from '#platform/io/mod.ts';
import type { ObjectKey } from '#platform/store/mod.ts';

export const productVersion = '0.1.0';
export const serverHostName = 'server';
/** Of the log of the server's main store, on its machine. */
export const storeLogFolder = 'selvage/server/store/log';
export const operatorHostName = 'operator';
export const apiAddress: Address = { host: serverHostName, port: 6443 };
export const linkAddress: Address = { host: serverHostName, port: 7443 };

export const deploymentName = 'edge-microservice';
export const deploymentNamespace = 'default';
/** The counter that clients increment at the same time. */
export const tallyKey: ObjectKey = {
  resource: 'configmaps',
  namespace: deploymentNamespace,
  name: 'tally',
};
/** Of nodes that only try a join token. */
export const guestPrefix = 'guest-';
export const imageName = 'edge-service-image';

export const storedResources = [
  ...builtInDefinitions.filter((one) => one.storage === 'main').map(resourceName),
  'jointokens.selvage.dev',
  'imagetags.selvage.dev',
  'outboxcursors.selvage.dev',
  'epochs.selvage.dev',
  nodeIdentityResource,
];

/** Regions and sites, in the order in which nodes are dealt to them. */
export const places = [
  { region: 'north', site: 'harbour' },
  { region: 'north', site: 'mill' },
  { region: 'south', site: 'depot' },
] as const;

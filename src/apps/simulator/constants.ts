/** Names and addresses of the simulated fleet. */
import type { Address } from '#platform/io/mod.ts';

export const productVersion = '0.1.0';
export const serverHostName = 'server';
export const operatorHostName = 'operator';
export const apiAddress: Address = { host: serverHostName, port: 6443 };
export const linkAddress: Address = { host: serverHostName, port: 7443 };

export const deploymentName = 'edge-microservice';
export const deploymentNamespace = 'default';
export const imageName = 'edge-service-image';

/** Regions and sites, in the order in which nodes are dealt to them. */
export const places = [
  { region: 'north', site: 'harbour' },
  { region: 'north', site: 'mill' },
  { region: 'south', site: 'depot' },
] as const;

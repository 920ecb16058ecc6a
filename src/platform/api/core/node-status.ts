/** The schemas of a node's status and of what its agent reports of it. */
import { keyedList, mapOf, oneOf, quantity, record, setList, text } from '../meta/build.ts';
import { conditionsSchema } from '../meta/condition.ts';
import type { Schema } from '../schema.ts';

const amountsSchema = (description: string): Schema =>
  mapOf(description, quantity('How much of it.'));

export const nodeStatusSchema = record('What is known about the node now.', {
  capacity: amountsSchema('All that the machine has.'),
  allocatable: amountsSchema('What is there for pods.'),
  addresses: keyedList(
    'How the node is reached.',
    ['type'],
    record(
      'One address.',
      { type: text('InternalIP or Hostname.'), address: text('The address.') },
      ['type', 'address'],
    ),
  ),
  nodeInfo: record('What the machine and the programs on it are.', {
    machineID: text('Identity of the installation.'),
    bootID: text('Identity of the time since the last boot.'),
    architecture: text('Processor architecture, e.g. amd64.'),
    operatingSystem: text('Operating system, e.g. linux.'),
    osImage: text('Name and version of the distribution.'),
    kernelVersion: text('Version of the kernel.'),
    kubeletVersion: text('Version of the agent on the node.'),
    kubeProxyVersion: text('The same version, in the place where clients look for a second one.'),
    containerRuntimeVersion: text('The runtimes of the agent and their versions.'),
  }),
  conditions: conditionsSchema('What holds for the node, since when, and why.'),
  runtimes: setList('The runtimes that the node offers.', text('Name of a runtime.')),
  platforms: setList('The image platforms that it can run.', text('Name of a platform.')),
  machineFeatures: setList('What its kernel and its hardware can do.', text('Name of a feature.')),
  serialPorts: setList('Its serial lines.', text('Path of the device.')),
  accelerators: setList('Its graphics and inference hardware.', text('Name of the device.')),
  power: oneOf('What it runs on now; left out where the machine does not say.', [
    'mains',
    'battery',
  ]),
});

const runtimesMax = 16;
const platformsMax = 64;
const labelLengthMax = 253;

const discoveryLabel = (description: string): Schema =>
  text(description, { maxLength: labelLengthMax });

/** The whole of a report of an agent on its node: NodeReport. */
export const nodeReportSchema = record(
  'What an agent says of its node.',
  {
    status: nodeStatusSchema,
    labels: record('The labels that follow from the machine.', {
      'kubernetes.io/arch': discoveryLabel('Processor architecture.'),
      'kubernetes.io/os': discoveryLabel('Operating system.'),
      'kubernetes.io/hostname': discoveryLabel('Name of the machine.'),
    }),
    runtimes: setList(
      'The runtimes that the node offers.',
      // It becomes the name of a label.
      text('Name of a runtime.', { format: 'dns-label' }),
      { maxItems: runtimesMax },
    ),
    platforms: setList(
      'The image platforms that it can run.',
      text('Name of a platform.', { minLength: 1 }),
      { maxItems: platformsMax },
    ),
  },
  ['status'],
);

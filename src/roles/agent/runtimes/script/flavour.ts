/**
 * What sets the runtimes apart that run one confined process per container: which
 * images they take and which words start them. All else is the same.
 */
import type { ContainerMount, ContainerStart } from '../types.ts';
import { workloadCommand } from './workload.ts';

export interface Flavour {
  readonly name: string;
  readonly platforms: readonly string[];
  /** Whether its programs can be run beside the workload; the container's own tools always can. */
  readonly runsOtherPrograms: boolean;
  /** Throws RUNTIME_BAD_COMMAND or CONTAINER_CONFIG. */
  launch(wanted: ContainerStart): {
    readonly command: readonly string[];
    readonly mounts: readonly ContainerMount[];
  };
}

/** Bundles of JavaScript, run by the node's own runtime. */
export const scriptFlavour: Flavour = {
  name: 'script',
  platforms: ['script/javascript'],
  runsOtherPrograms: true,
  launch({ command, mounts = [] }) {
    return { command: workloadCommand(command, mounts), mounts };
  },
};

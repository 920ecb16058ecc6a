/** `selvage status`: every process of the fleet on this machine, pods included. */
import type { CliContext, ExitCode } from './context.ts';
import { exitCodes } from './context.ts';
import { type Fleet, openFleet } from './fleet.ts';
import { coloured, type OutputFormat, printStructured, tableText } from './output.ts';

export interface FleetProcess {
  readonly role: 'server' | 'agent' | 'pod';
  /** `server`, `agent/NODE`, or `pod/NAMESPACE/NAME/CONTAINER`. */
  readonly name: string;
  readonly node?: string;
  readonly pod?: { readonly namespace: string; readonly name: string; readonly uid: string };
  readonly container?: string;
  readonly address?: string;
  readonly pid?: number;
  /** RFC 3339. */
  readonly startTime?: string;
  /** In the kernel's clock ticks since boot: with the pid the process's identity. */
  readonly startTicks?: number;
  readonly state: 'running' | 'stopped';
}

/** What runs now and what of the fleet does not: server, agents, then pods by node. */
export async function fleetProcesses(fleet: Fleet): Promise<FleetProcess[]> {
  const processes: FleetProcess[] = [];
  const server = await fleet.running('server');
  processes.push({
    role: 'server',
    name: 'server',
    ...(server === undefined
      ? { state: 'stopped' }
      : {
          pid: server.pid,
          startTime: server.startedAt,
          startTicks: server.startTicks,
          state: 'running',
        }),
  });
  for (const node of fleet.file.nodes) {
    const agent = await fleet.running(`agent-${node.name}`);
    processes.push({
      role: 'agent',
      name: `agent/${node.name}`,
      node: node.name,
      ...(agent === undefined
        ? { state: 'stopped' }
        : {
            pid: agent.pid,
            startTime: agent.startedAt,
            startTicks: agent.startTicks,
            state: 'running',
          }),
    });
  }
  for (const node of fleet.file.nodes) {
    for (const container of await fleet.containers(node.name)) {
      if (!(await fleet.isAlive(container))) continue;
      processes.push({
        role: 'pod',
        name: `pod/${container.podNamespace}/${container.podName}/${container.container}`,
        node: node.name,
        pod: {
          namespace: container.podNamespace,
          name: container.podName,
          uid: container.podUid,
        },
        container: container.container,
        ...(container.ip === undefined ? {} : { address: container.ip }),
        pid: container.pid,
        startTime: new Date(container.startedAtMs).toISOString(),
        startTicks: container.startTicks,
        state: 'running',
      });
    }
  }
  return processes;
}

export async function status(
  context: CliContext,
  options: { readonly stateFolder: string; readonly format: OutputFormat },
): Promise<ExitCode> {
  const fleet = await openFleet(context, options.stateFolder);
  const processes = await fleetProcesses(fleet);
  if (options.format !== 'text') {
    printStructured(context.standardOutput, options.format, {
      state: fleet.stateFolder,
      api: `https://127.0.0.1:${fleet.file.apiPort}`,
      processes,
    });
    return exitCodes.ok;
  }
  const rows = processes.map((process) => [
    process.role,
    process.name,
    process.node ?? '',
    process.pid === undefined ? '' : String(process.pid),
    process.startTime ?? '',
    process.address ?? '',
    process.state === 'running'
      ? coloured(context.standardOutput, 'green', 'running')
      : coloured(context.standardOutput, 'red', 'stopped'),
  ]);
  context.standardOutput.write(
    tableText(['ROLE', 'NAME', 'NODE', 'PID', 'STARTED', 'ADDRESS', 'STATE'], rows),
  );
  return exitCodes.ok;
}

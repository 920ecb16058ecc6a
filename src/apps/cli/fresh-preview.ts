/**
 * `selvage up --fresh --dry-run`: what `--fresh` would end and delete. It ends and
 * deletes nothing, and starts nothing.
 */
import { type CliContext, CommandFailure, type ExitCode, exitCodes } from './context.ts';
import { fleetExists, openFleet } from './fleet.ts';
import { aliveContainers } from './lab.ts';

/** Throws CommandFailure where `--fresh` itself would be refused. */
export async function previewFresh(context: CliContext, stateFolder: string): Promise<ExitCode> {
  const output = context.standardOutput;
  if (!(await fleetExists(context, stateFolder))) {
    if ((await context.diskAt(stateFolder).list('')).length > 0) {
      throw new CommandFailure(
        `${stateFolder} is not empty and holds no fleet, so --fresh does not empty it. Name another folder with --state.`,
      );
    }
    output.write(`there is no fleet in ${stateFolder}: nothing would be deleted\n`);
    return exitCodes.ok;
  }
  const fleet = await openFleet(context, stateFolder);
  const other = await fleet.running('up');
  if (other !== undefined) {
    throw new CommandFailure(
      `this fleet is up (pid ${other.pid}, state ${stateFolder}), so --fresh would be refused. Stop that one with Ctrl-C first.`,
    );
  }
  const lines: string[] = [];
  const server = await fleet.running('server');
  for (const { name } of fleet.file.nodes) {
    const agent = await fleet.running(`agent-${name}`);
    if (agent !== undefined) lines.push(`  end    the agent of ${name} (pid ${agent.pid})`);
    for (const { podNamespace, podName, container, pid } of await aliveContainers(fleet, name)) {
      lines.push(`  end    pod ${podNamespace}/${podName}, container ${container} (pid ${pid})`);
    }
  }
  if (server !== undefined) lines.push(`  end    the server (pid ${server.pid})`);
  lines.push(
    `  delete ${fleet.path('server')}: all objects, images, and the authority of the fleet`,
  );
  for (const { name } of fleet.file.nodes) {
    lines.push(`  delete ${fleet.path(`nodes/${name}`)}: key, volumes and logs of node ${name}`);
  }
  lines.push(`  delete ${stateFolder} with all else in it, the kubeconfig included`);
  output.write(['--fresh would', ...lines, 'Nothing was changed.', ''].join('\n'));
  return exitCodes.ok;
}

/** What is on the server's disk, taken and put back while its power is off: as a backup is. */
import { sleep } from '#platform/io/mod.ts';
import type { Host } from '#platform/sim/mod.ts';
import type { Fleet } from './fleet.ts';

const serverFolder = 'selvage/server';

export type ServerFiles = ReadonlyMap<string, Uint8Array>;

export async function powerOff(fleet: Fleet): Promise<void> {
  fleet.stopServer('power-cut');
  await sleep(fleet.world.timers, 1_000);
}

export async function switchOn(fleet: Fleet): Promise<void> {
  fleet.startServer();
  await fleet.untilTrue('the server is back', () => fleet.server !== undefined);
}

/** Everything below the server's folder, as it is on the disk that lost its power. */
export function filesOf(host: Host): ServerFiles {
  const { tree } = host.machineDisk;
  const files = new Map<string, Uint8Array>();
  const visit = (folder: string): void => {
    for (const { name, kind } of tree.list(folder)) {
      const path = `${folder}/${name}`;
      const found = tree.find(path);
      if (kind === 'directory') visit(path);
      else if (found?.kind === 'file') files.set(path, found.read(0, found.sizeBytes).slice());
    }
  };
  visit(serverFolder);
  return files;
}

export function replaceFiles(host: Host, files: ServerFiles): void {
  const { tree } = host.machineDisk;
  tree.remove(serverFolder);
  for (const [path, bytes] of files) {
    tree.makeDirectory(path.slice(0, path.lastIndexOf('/')));
    tree.replaceFile(path, bytes);
  }
}

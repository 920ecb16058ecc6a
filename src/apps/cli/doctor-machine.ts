/** What `selvage doctor` looks at on the machine: what a server and an agent need of it. */
import { textOf } from '#base/mod.ts';
import type { CliContext } from './context.ts';
import type { Check, Finding } from './doctor.ts';
import { splitPath } from './paths.ts';

const gibibyte = 1024 ** 3;
const freeBytesWarn = 2 * gibibyte;
const freeBytesMin = 256 * 1024 * 1024;
const memoryBytesWarn = gibibyte;
const openFilesWarn = 10_000;
const commandTimeoutMs = 5_000;
const kernelFileBytesMax = 64 * 1024;
/** What containers are started and volumes are looked after with, and the package that has it. */
const programs: readonly (readonly [string, string])[] = [
  ['unshare', 'util-linux'],
  ['setpriv', 'util-linux'],
  ['nsenter', 'util-linux'],
  ['mount', 'mount'],
  ['pivot_root', 'util-linux'],
  ['chroot', 'coreutils'],
  ['du', 'coreutils'],
  ['find', 'findutils'],
];
const programFolders = [
  '/usr/local/sbin',
  '/usr/local/bin',
  '/usr/sbin',
  '/usr/bin',
  '/sbin',
  '/bin',
];

export function machineChecks(context: CliContext, stateFolder: string): Check[] {
  return [
    { name: 'Node.js', look: async () => nodeVersion(context) },
    { name: 'user', look: () => user(context) },
    { name: 'programs', look: () => neededPrograms(context) },
    { name: 'namespaces', look: () => namespaces(context) },
    { name: 'memory', look: () => memory(context) },
    { name: 'open files', look: () => openFiles(context) },
    { name: 'disk', look: () => disk(context, stateFolder) },
    { name: 'control groups', look: () => controlGroups(context) },
    { name: 'kubectl', look: () => kubectl(context) },
  ];
}

function nodeVersion({ nodeVersion: version }: CliContext): Finding {
  const major = Number(/^v([0-9]+)/.exec(version)?.[1]);
  if (major >= 24) return { outcome: 'ok', message: version };
  return {
    outcome: 'failed',
    message: `${version} is too old`,
    mend: "run 'npm ci', which brings Node 24",
  };
}

async function user(context: CliContext): Promise<Finding> {
  const status = (await procFile(context, 'self/status')) ?? '';
  const id = /^Uid:\s+([0-9]+)/m.exec(status)?.[1];
  if (id === '0') return { outcome: 'ok', message: 'root, as agents need to be' };
  return {
    outcome: 'warning',
    message: `user ${id ?? 'unknown'}: a server can run, an agent cannot confine its pods`,
    mend: 'run agents (and `selvage up`, which starts some) as root',
  };
}

async function neededPrograms(context: CliContext): Promise<Finding> {
  const missing: string[] = [];
  for (const [program, debianPackage] of programs) {
    if ((await find(context, program)) === undefined) missing.push(`${program} (${debianPackage})`);
  }
  if (missing.length === 0)
    return { outcome: 'ok', message: programs.map(([name]) => name).join(', ') };
  return {
    outcome: 'failed',
    message: `missing: ${missing.join(', ')}`,
    mend: 'install the packages named in brackets; without them no pod starts here',
  };
}

async function namespaces(context: CliContext): Promise<Finding> {
  const path = await find(context, 'unshare');
  if (path === undefined) return { outcome: 'skipped', message: 'there is no unshare' };
  const exitCode = await exitCodeOf(context, path, [
    '--mount',
    '--pid',
    '--ipc',
    '--uts',
    '--fork',
    'true',
  ]);
  if (exitCode === 0)
    return { outcome: 'ok', message: 'mount, process, ipc and host name namespaces can be made' };
  return {
    outcome: 'failed',
    message: `making namespaces ended with ${exitCode ?? 'no answer in time'}`,
    mend: 'run as root; inside a container, give it the capability SYS_ADMIN',
  };
}

async function memory(context: CliContext): Promise<Finding> {
  const text = (await procFile(context, 'meminfo')) ?? '';
  const match = /^MemAvailable:\s+([0-9]+) kB/m.exec(text);
  if (match === null) return { outcome: 'skipped', message: '/proc/meminfo says nothing' };
  const bytes = Number(match[1]) * 1024;
  const message = `${sizeText(bytes)} available`;
  if (bytes >= memoryBytesWarn) return { outcome: 'ok', message };
  return {
    outcome: 'warning',
    message,
    mend: 'a server takes about 150 MB for 1,000 nodes, an agent about 60 MB, each pod of the script runtime about 50 MB',
  };
}

async function openFiles(context: CliContext): Promise<Finding> {
  const text = (await procFile(context, 'self/limits')) ?? '';
  const match = /^Max open files\s+([0-9]+|unlimited)/m.exec(text);
  if (match === null) return { outcome: 'skipped', message: '/proc/self/limits says nothing' };
  const limit = match[1] === 'unlimited' ? Infinity : Number(match[1]);
  const message = `at most ${match[1]} a process`;
  if (limit >= openFilesWarn) return { outcome: 'ok', message };
  return {
    outcome: 'warning',
    message,
    mend: `a server holds one for each node and each watch: 'ulimit -n 20000' before it starts`,
  };
}

async function disk(context: CliContext, stateFolder: string): Promise<Finding> {
  // The folder itself may not be there yet: the nearest that is has the same disk.
  let folder = stateFolder;
  let free: number | undefined;
  while (free === undefined) {
    try {
      free = await context.diskAt(folder).freeBytes();
    } catch (error) {
      if (folder === '/') throw error;
      folder = splitPath(folder).folder;
    }
  }
  const message = `${sizeText(free)} free at ${folder}`;
  if (free < freeBytesMin) {
    return {
      outcome: 'failed',
      message,
      mend: 'make room: a server without room refuses every write',
    };
  }
  if (free >= freeBytesWarn) return { outcome: 'ok', message };
  return {
    outcome: 'warning',
    message,
    mend: "images, logs and the server's history need some GiB",
  };
}

async function controlGroups(context: CliContext): Promise<Finding> {
  const names = (await context.diskAt('/sys/fs/cgroup').list('')).map(({ name }) => name);
  if (names.includes('cgroup.controllers')) {
    const controllers =
      (await kernelFile(context, '/sys/fs/cgroup', 'cgroup.controllers'))?.trim() ?? '';
    if (controllers.includes('memory'))
      return { outcome: 'ok', message: `version 2 with ${controllers}` };
  }
  const wanted = ['memory', 'cpu', 'pids'];
  const missing = wanted.filter((name) => !names.includes(name));
  if (missing.length === 0)
    return { outcome: 'ok', message: `version 1 with ${wanted.join(', ')}` };
  return {
    outcome: 'warning',
    message: `no controllers ${missing.join(', ')}`,
    mend: "pods' limits on memory, processor and processes cannot be held here; mount /sys/fs/cgroup",
  };
}

async function kubectl(context: CliContext): Promise<Finding> {
  const path = await find(context, 'kubectl');
  if (path !== undefined) return { outcome: 'ok', message: path };
  return {
    outcome: 'warning',
    message: 'not on PATH',
    mend: 'manifests go in with kubectl: apt-get install kubernetes-client, or see kubernetes.io/docs/tasks/tools',
  };
}

async function find(context: CliContext, program: string): Promise<string | undefined> {
  const path = context.environment['PATH']?.split(':') ?? [];
  for (const folder of [...path, ...programFolders]) {
    if (!folder.startsWith('/')) continue;
    try {
      const entries = await context.diskAt(folder).list('');
      if (entries.some(({ name }) => name === program)) return `${folder}/${program}`;
    } catch {
      // A folder in PATH that cannot be read has no programs for us.
    }
  }
  return undefined;
}

async function exitCodeOf(
  context: CliContext,
  program: string,
  words: readonly string[],
): Promise<number | undefined> {
  const handle = await context.spawn.start({
    program,
    arguments: words,
    environment: { PATH: programFolders.join(':') },
    workingDirectory: '/',
  });
  return await new Promise((resolve) => {
    const timer = context.timers.after(commandTimeoutMs, () => {
      void context.spawn.signal(handle, 'SIGKILL');
      resolve(undefined);
    });
    handle.onExit(({ code }) => {
      timer.cancel();
      resolve(code);
    });
  });
}

function procFile(context: CliContext, path: string): Promise<string | undefined> {
  return kernelFile(context, '/proc', path);
}

/** Files that the kernel makes up have no size until they are read. */
async function kernelFile(
  context: CliContext,
  folder: string,
  path: string,
): Promise<string | undefined> {
  const file = await context.diskAt(folder).open(path, 'read');
  try {
    return textOf(await file.readAt(0, kernelFileBytesMax));
  } finally {
    await file.close();
  }
}

function sizeText(bytes: number): string {
  return bytes >= gibibyte
    ? `${(bytes / gibibyte).toFixed(1)} GiB`
    : `${Math.floor(bytes / (1024 * 1024))} MiB`;
}

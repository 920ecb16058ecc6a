// docs/guides/second-machine.md as it stands: its commands are run, in order, on two
// machines. Each is a network namespace with the address that the guide names and
// with folders of its own; a cable of veth lies between them.
import assert from 'node:assert/strict';
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { buildExecutable } from '../../tools/build/executable.ts';
import { eventually, projectFolder } from './helpers/fleet.ts';
import { type CommandResult, kubectlPath, run } from './helpers/kubectl.ts';

const guide = join(projectFolder, 'docs/guides/second-machine.md');
const agentUnit = join(projectFolder, 'packaging/systemd/selvage-agent.service');
/** Folders that the two do not share with each other, nor with this machine. */
const ownFolders = ['/var/lib', '/opt', '/etc/selvage'];

interface Machine {
  readonly namespace: string;
  readonly address: string;
  /** Where its own folders really lie. */
  readonly folder: string;
}

interface Step {
  readonly where: 'background' | 'server' | 'machine' | 'copy';
  readonly commands: string;
}

let folder: string;
let server: Machine;
let cellar: Machine;
const running: { readonly child: ChildProcess; readonly output: () => string }[] = [];

function steps(): readonly Step[] {
  const blocks = readFileSync(guide, 'utf8').matchAll(/^```sh (\w+)\n([^]*?)^```$/gm);
  return [...blocks].map(([, where, commands = '']) => {
    assert.ok(
      where === 'background' || where === 'server' || where === 'machine' || where === 'copy',
      `no such place: ${where}`,
    );
    return { where, commands };
  });
}

function ip(...words: readonly string[]): void {
  execFileSync('ip', words, { stdio: ['ignore', 'ignore', 'inherit'] });
}

function makeMachine(name: string, address: string): Machine {
  const machine = {
    namespace: `selvage-${name}-${process.pid}`,
    address,
    folder: join(folder, name),
  };
  for (const own of ownFolders) mkdirSync(join(machine.folder, own), { recursive: true });
  ip('netns', 'add', machine.namespace);
  ip('-n', machine.namespace, 'link', 'set', 'lo', 'up');
  return machine;
}

before(async () => {
  folder = mkdtempSync(join(tmpdir(), 'selvage-two-machines-'));
  server = makeMachine('server', '192.0.2.10');
  cellar = makeMachine('cellar', '192.0.2.20');
  const cable = { server: `sv${process.pid}`, cellar: `ce${process.pid}` };
  ip('link', 'add', cable.server, 'type', 'veth', 'peer', 'name', cable.cellar);
  for (const [end, machine] of [
    [cable.server, server],
    [cable.cellar, cellar],
  ] as const) {
    ip('link', 'set', end, 'netns', machine.namespace);
    ip('-n', machine.namespace, 'address', 'add', `${machine.address}/24`, 'dev', end);
    ip('-n', machine.namespace, 'link', 'set', end, 'up');
  }
  mkdirSync(join(folder, 'bin'));
  symlinkSync(join(projectFolder, 'selvage'), join(folder, 'bin/selvage'));
  symlinkSync(kubectlPath(), join(folder, 'bin/kubectl'));
  mkdirSync(join(folder, 'work'));
  symlinkSync(join(projectFolder, 'examples'), join(folder, 'work/examples'));
});

after(async () => {
  for (const { child } of running.reverse()) {
    if (child.exitCode === null && child.pid !== undefined) process.kill(-child.pid, 'SIGINT');
    await new Promise((resolve) => {
      if (child.exitCode !== null || child.signalCode !== null) resolve(undefined);
      else child.once('close', resolve);
    });
  }
  for (const { namespace } of [server, cellar]) ip('netns', 'delete', namespace);
  rmSync(folder, { recursive: true, force: true });
});

/** Program and arguments that run a shell on the machine. */
function shellOn(machine: Machine, commands: string): readonly string[] {
  const mounts = ownFolders.map((own) => `mount --bind ${machine.folder}${own} ${own}`).join('\n');
  const script = `set -e\nmkdir -p /etc/selvage\n${mounts}\nPATH=${folder}/bin:$PATH\ncd ${folder}/work\n${commands}`;
  const namespaces = ['netns', 'exec', machine.namespace, 'unshare', '--mount'];
  return ['ip', ...namespaces, '--propagation', 'private', '--', 'sh', '-c', script];
}

function attemptOn(machine: Machine, commands: string): Promise<CommandResult> {
  const [program = '', ...words] = shellOn(machine, commands);
  return run(program, words);
}

async function runOn(machine: Machine, commands: string): Promise<CommandResult> {
  const result = await attemptOn(machine, commands);
  assert.equal(result.status, 0, `${commands}\n${result.stdout}${result.stderr}`);
  return result;
}

function startOn(machine: Machine, commands: string): () => string {
  const [program = '', ...words] = shellOn(machine, `exec ${commands}`);
  const child = spawn(program, words, { stdio: ['ignore', 'pipe', 'pipe'], detached: true });
  let printed = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk: Buffer) => {
      printed += chunk.toString('utf8');
    });
  }
  const output = (): string => printed;
  running.push({ child, output });
  return output;
}

/** The words by which a process gets the bounds that the unit of systemd sets for the agent. */
function boundsOfUnit(): string {
  const text = readFileSync(agentUnit, 'utf8');
  const [, capabilities = ''] = /^CapabilityBoundingSet=(.+)$/m.exec(text) ?? [];
  assert.match(text, /^NoNewPrivileges=yes$/m);
  const kept = capabilities.split(' ').map((name) => name.replace('CAP_', '+').toLowerCase());
  assert.ok(kept.length > 5, 'the unit names capabilities');
  const set = ['-all', ...kept].join(',');
  return `setpriv --no-new-privs --bounding-set=${set} --inh-caps=-all --`;
}

async function copyFiles(commands: string): Promise<void> {
  await buildExecutable(projectFolder, folder);
  // As `scp` would: by the words of the guide, into the folders of the other machine.
  const copies = [...commands.matchAll(/^scp (\S+) root@192\.0\.2\.20:(\S+)$/gm)];
  assert.equal(copies.length, 2);
  for (const [, from = '', to = ''] of copies) {
    const source =
      from === 'dist/selvage-agent' ? join(folder, 'selvage-agent') : join(folder, 'work', from);
    mkdirSync(join(cellar.folder, to, '..'), { recursive: true });
    copyFileSync(source, join(cellar.folder, to));
  }
}

test('the guide makes a second machine a node, under the bounds of the unit', async () => {
  let background = 0;
  for (const { where, commands } of steps()) {
    switch (where) {
      case 'background': {
        background += 1;
        const isServer = commands.includes('selvage server');
        if (isServer) {
          startOn(server, commands);
          const kubeconfig = join(server.folder, 'var/lib/selvage-server/kubeconfig');
          await eventually('the server has started', 30_000, async () =>
            existsSync(kubeconfig) ? true : undefined,
          );
        } else {
          const output = startOn(cellar, `${boundsOfUnit()} ${commands}`);
          await eventually(`the agent has joined`, 30_000, async () =>
            output().includes('joined the fleet') ? true : undefined,
          ).catch((error: unknown) => {
            throw new Error(output(), { cause: error });
          });
        }
        break;
      }
      case 'server': {
        const { stdout } = await runOn(server, commands);
        if (commands.includes('kubectl logs')) assert.match(stdout, /hello\s+1\/1\s+Running/);
        break;
      }
      case 'machine': {
        const { stdout } = await runOn(cellar, commands);
        if (commands.includes('curl')) {
          const answer = JSON.parse(stdout) as { pod: string; node: string };
          assert.deepEqual([answer.pod, answer.node], ['hello', 'cellar-1']);
        }
        break;
      }
      case 'copy':
        await copyFiles(commands);
        break;
    }
  }
  assert.equal(background, 2, 'the guide starts a server and an agent');
  // The pod is on the other machine alone: here nobody has its address.
  const here = await attemptOn(server, 'curl --silent --max-time 2 http://127.1.1.1:8080/');
  assert.notEqual(here.status, 0);
});

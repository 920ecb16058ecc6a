// The units of packaging/systemd: systemd understands them, and the server runs
// within the bounds that its unit sets. (The agent's are tried in second-machine.test.ts.)
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { eventually, projectFolder } from './helpers/fleet.ts';
import { kubectlFor } from './helpers/kubectl.ts';

const units = join(projectFolder, 'packaging/systemd');
const names = ['selvage-server.service', 'selvage-agent.service'] as const;
const nobody = 65_534;
const port = 22_643 + (process.pid % 500) * 2;

const textOf = (name: string): string => readFileSync(join(units, name), 'utf8');

const hasAnalyze = spawnSync('systemd-analyze', ['--version']).status === 0;
const skipWords = 'SKIPPED: no systemd-analyze here, so nobody has checked the units';
if (!hasAnalyze) process.stderr.write(`${skipWords}\n`);

test(
  'systemd finds nothing to say against the units',
  { skip: hasAnalyze ? false : skipWords },
  (t) => {
    const folder = mkdtempSync(join(tmpdir(), 'selvage-units-'));
    t.after(() => rmSync(folder, { recursive: true, force: true }));
    for (const name of names) {
      // What they start is installed on the machine that they are for, and its user made there.
      const text = textOf(name)
        .replace(/^ExecStart=\S+/m, 'ExecStart=/bin/true')
        .replaceAll(/^(User|Group)=selvage$/gm, '$1=root');
      writeFileSync(join(folder, name), text);
      const { status, stdout, stderr } = spawnSync(
        'systemd-analyze',
        ['verify', '--man=no', join(folder, name)],
        { encoding: 'utf8' },
      );
      assert.deepEqual({ status, said: `${stdout}${stderr}` }, { status: 0, said: '' }, name);
    }
    writeFileSync(join(folder, 'wrong.service'), '[Service]\nExecStart=relative\nNoSuchOption=1\n');
    const wrong = spawnSync('systemd-analyze', [
      'verify',
      '--man=no',
      join(folder, 'wrong.service'),
    ]);
    assert.notEqual(wrong.status, 0, 'a wrong unit is told from a right one');
  },
);

test('a server that listens at all addresses has to be told by which one nodes reach it', () => {
  const { status, stderr } = spawnSync(
    join(projectFolder, 'selvage'),
    ['server', '--state', '/nonexistent/selvage', '--link', '0.0.0.0:7444'],
    { encoding: 'utf8' },
  );
  assert.equal(status, 2);
  assert.match(stderr, /--link 0\.0\.0\.0:7444 listens at all addresses.*--advertise/);
});

test('the server runs as a user without any capability, and is reached as it advertises', async (t) => {
  const text = textOf('selvage-server.service');
  assert.match(text, /^User=selvage$/m);
  assert.match(text, /^CapabilityBoundingSet=$/m);
  assert.match(text, /^NoNewPrivileges=yes$/m);
  assert.match(text, /^KillMode=mixed$/m);
  const [, words = ''] = /^ExecStart=\S+ (.*) \$SELVAGE_SERVER_OPTIONS$/m.exec(text) ?? [];
  assert.equal(words, 'server --state /var/lib/selvage-server');

  const folder = mkdtempSync(join(tmpdir(), 'selvage-unit-server-'));
  chmodSync(folder, 0o755);
  const state = join(folder, 'state');
  mkdirSync(state, { mode: 0o700 });
  chownSync(state, nobody, nobody);
  const child = spawn(
    'setpriv',
    [
      ...[`--reuid=${nobody}`, `--regid=${nobody}`, '--clear-groups', '--no-new-privs'],
      ...['--bounding-set=-all', '--inh-caps=-all', '--'],
      join(projectFolder, 'selvage'),
      ...words.replace('/var/lib/selvage-server', state).split(' '),
      ...['--api', `0.0.0.0:${port}`, '--link', `0.0.0.0:${port + 1}`],
      ...['--advertise', '127.0.0.9', '--api-fronts', '1'],
    ],
    { stdio: ['ignore', 'pipe', 'pipe'] },
  );
  let printed = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk: Buffer) => {
      printed += chunk.toString('utf8');
    });
  }
  const ended = new Promise<number | null>((resolve) => child.once('close', resolve));
  t.after(async () => {
    child.kill('SIGKILL');
    await ended;
    rmSync(folder, { recursive: true, force: true });
  });
  const kubeconfig = join(state, 'kubeconfig');
  await eventually('the server is ready', 30_000, async () => {
    assert.equal(child.exitCode, null, printed);
    return existsSync(kubeconfig) && printed.includes('server ready') ? true : undefined;
  });
  assert.equal(statSync(kubeconfig).mode & 0o777, 0o600);
  assert.match(readFileSync(`/proc/${child.pid}/status`, 'utf8'), /^CapBnd:\s+0+$/m);
  assert.match(
    readFileSync(kubeconfig, 'utf8'),
    new RegExp(`server: https://127\\.0\\.0\\.9:${port}\n`),
  );
  // kubectl holds the certificate against that address.
  assert.match(await kubectlFor(kubeconfig).ok(['get', 'namespaces']), /default/);
  const front = Number(readFileSync(`/proc/${child.pid}/task/${child.pid}/children`, 'utf8'));
  assert.match(readFileSync(`/proc/${front}/cmdline`, 'utf8'), /\0api-front\0$/);
  child.kill('SIGTERM');
  assert.equal(await ended, 0, printed);
  assert.equal(existsSync(`/proc/${front}`), false, 'a front ends with its server');
});

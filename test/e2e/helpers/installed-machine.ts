/**
 * A machine of its own for a test: network, processes, mounts, `/etc`, `/opt` and
 * `/var/lib` are apart from those of this one. Where documents say `systemctl`, a
 * stand-in starts and ends what the unit says, by its user, options and signals.
 */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { eventually } from './fleet.ts';
import { type CommandResult, kubectlPath, run } from './kubectl.ts';

export interface InstalledMachine {
  /** Where its shells begin. */
  readonly workFolder: string;
  attempt(script: string): Promise<CommandResult>;
  /** Throws with all output unless the status is 0. */
  ok(script: string): Promise<string>;
  /** Ends everything that runs there. */
  remove(): Promise<void>;
}

const systemctl = `#!/bin/sh
# Does of systemd what the documents ask of it.
set -eu
case "$1" in
  daemon-reload) exit 0 ;;
  enable) [ "$2" = --now ]; action=start; unit=$3 ;;
  start | stop | restart) action=$1; unit=$2 ;;
  *) echo "systemctl: nobody has said what $1 does" >&2; exit 1 ;;
esac
file=/etc/systemd/system/\${unit%.service}.service
value() { sed -n "s/^$1=//p" "$file" | tail -n 1; }
pidfile=/run/\${unit%.service}.pid
end() {
  pid=$(cat "$pidfile")
  kill -s "\${1#SIG}" "$pid"
  while kill -0 "$pid" 2>/dev/null && ! grep -q '^State:.Z' "/proc/$pid/status"; do sleep 0.1; done
}
case "$action" in
  stop) signal=$(value KillSignal); end "\${signal:-TERM}"; exit 0 ;;
  restart) signal=$(value RestartKillSignal); end "\${signal:-TERM}" ;;
esac
folder=/var/lib/$(value StateDirectory)
user=$(value User)
user=\${user:-root}
mkdir -p "$folder"
chmod "$(value StateDirectoryMode)" "$folder"
chown "$user" "$folder"
environment=$(value EnvironmentFile)
name=$(value Environment | sed 's/^"\\([A-Z_]*\\)=.*/\\1/')
options=$(value Environment | sed 's/^"[A-Z_]*=\\(.*\\)"$/\\1/')
[ ! -f "\${environment#-}" ] || options=$(sed -n "s/^$name=//p" "\${environment#-}")
words=$(value ExecStart | sed "s|[$]$name|$options|")
export PATH=/usr/sbin:/usr/bin:/sbin:/bin
if [ "$user" = root ]; then
  setsid $words >"/var/log-of-$unit" 2>&1 </dev/null &
else
  setsid setpriv --reuid "$user" --regid "$user" --clear-groups --no-new-privs \\
    --bounding-set=-all --inh-caps=-all $words >"/var/log-of-$unit" 2>&1 </dev/null &
fi
echo $! >"$pidfile"
`;

/** `folder` is there and empty; `address` is the machine's only one beside loopback. */
export async function startMachine(folder: string, address: string): Promise<InstalledMachine> {
  const inside = (path: string): string => join(folder, path);
  for (const path of ['etc', 'etc-work', 'opt', 'var', 'run', 'bin', 'work']) {
    mkdirSync(inside(path), { recursive: true });
  }
  mkdirSync(inside('var/lib'));
  writeFileSync(inside('bin/systemctl'), systemctl, { mode: 0o755 });
  symlinkSync(kubectlPath(), inside('bin/kubectl'));
  const prepare = [
    'set -e',
    `mount -t overlay overlay -o lowerdir=/etc,upperdir=${inside('etc')},workdir=${inside('etc-work')} /etc`,
    `mount --bind ${inside('opt')} /opt`,
    `mount --bind ${inside('var')} /var`,
    `mount --bind ${inside('run')} /run`,
    'ip link set lo up',
    `ip address add ${address}/32 dev lo`,
    `touch ${inside('is-up')}`,
    'exec sleep infinity',
  ].join('\n');
  const holder: ChildProcess = spawn(
    'unshare',
    [
      ...['--mount', '--propagation', 'private', '--net', '--pid', '--mount-proc'],
      ...['--fork', '--kill-child', 'sh', '-c', prepare],
    ],
    { stdio: ['ignore', 'inherit', 'inherit'] },
  );
  const ended = new Promise<void>((resolve) => holder.once('close', () => resolve()));
  const first = await eventually('the machine is up', 20_000, async () => {
    assert.equal(holder.exitCode, null, 'the machine has not come up');
    readFileSync(inside('is-up'));
    const children = readFileSync(`/proc/${holder.pid}/task/${holder.pid}/children`, 'utf8').trim();
    return children === '' ? undefined : children;
  });
  const attempt = (script: string): Promise<CommandResult> =>
    run('nsenter', [
      ...['--target', first, '--mount', '--net', '--pid', '--'],
      ...[
        'sh',
        '-c',
        `set -e\nexport PATH=${inside('bin')}:$PATH\ncd ${inside('work')}\n${script}`,
      ],
    ]);
  return {
    workFolder: inside('work'),
    attempt,
    async ok(script) {
      const { status, stdout, stderr } = await attempt(script);
      assert.equal(status, 0, `${script}\n${stdout}${stderr}`);
      return stdout;
    },
    async remove() {
      holder.kill('SIGKILL');
      await ended;
    },
  };
}

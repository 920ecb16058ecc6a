import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, test } from 'node:test';
import { accelerators, features, powerSource, serialPorts } from './machine-devices.ts';

const folder = mkdtempSync(join(tmpdir(), 'machine-devices-'));
after(() => rmSync(folder, { recursive: true }));
let machines = 0;

/** A machine whose kernel has these files; one without text is a folder. */
function machineWith(files: Readonly<Record<string, string | undefined>>): string {
  machines += 1;
  const root = join(folder, String(machines));
  mkdirSync(root);
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(text === undefined ? join(root, path) : dirname(join(root, path)), {
      recursive: true,
    });
    if (text !== undefined) writeFileSync(join(root, path), text);
  }
  return root;
}

test('serial ports are those with hardware behind them', () => {
  const root = machineWith({
    'sys/class/tty/ttyS0/type': '4\n',
    'sys/class/tty/ttyS1/type': '0\n',
    'sys/class/tty/ttyUSB0': undefined,
    'sys/class/tty/ttyACM12': undefined,
    'sys/class/tty/tty1': undefined,
    'sys/class/tty/console': undefined,
  });
  assert.deepEqual(serialPorts(root), ['/dev/ttyACM12', '/dev/ttyS0', '/dev/ttyUSB0']);
  assert.deepEqual(serialPorts(machineWith({})), []);
  const many = Object.fromEntries(
    Array.from({ length: 100 }, (_, at) => [`sys/class/tty/ttyUSB${at}`, undefined]),
  );
  assert.equal(serialPorts(machineWith(many)).length, 64);
});

test('accelerators are named as the kernel names them', () => {
  const root = machineWith({
    'dev/dri/renderD128': '',
    'dev/dri/card0': '',
    'dev/nvidia0': '',
    'dev/nvidiactl': '',
    'dev/apex_0': '',
    'sys/class/accel/accel0': undefined,
  });
  assert.deepEqual(accelerators(root), ['accel0', 'apex_0', 'nvidia0', 'renderD128']);
  assert.deepEqual(accelerators(machineWith({})), []);
});

test('features of the kernel are said where they are there', () => {
  const has = features(
    machineWith({
      'dev/kvm': '',
      'proc/filesystems': 'nodev\tproc\nnodev\toverlay\n\text4\n',
      'sys/kernel/security/lsm': 'lockdown,capability,landlock,yama\n',
      'dev/watchdog': '',
    }),
  );
  for (const name of ['kvm', 'overlayfs', 'landlock', 'watchdog'])
    assert.ok(has.includes(name), name);
  for (const name of ['tpm', 'bpf', 'seccomp']) assert.ok(!has.includes(name), name);
});

test('a machine runs on mains or on its battery, or does not say', () => {
  const supply = (name: string, fields: Readonly<Record<string, string>>) =>
    Object.fromEntries(
      Object.entries(fields).map(([field, text]) => [
        `sys/class/power_supply/${name}/${field}`,
        text,
      ]),
    );
  const battery = (status: string) => supply('BAT0', { type: 'Battery', status });
  const mains = (online: string) => supply('AC', { type: 'Mains', online });
  for (const [files, expected] of [
    [{}, undefined],
    [mains('1'), 'mains'],
    [mains('0'), 'mains'],
    [{ ...mains('1'), ...battery('Charging') }, 'mains'],
    [{ ...mains('0'), ...battery('Discharging') }, 'battery'],
    [battery('Discharging'), 'battery'],
    [battery('Full'), 'mains'],
  ] as const) {
    assert.equal(powerSource(machineWith(files)), expected, JSON.stringify(files));
  }
});

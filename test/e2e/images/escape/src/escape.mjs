// Tries to get out, one way after the other. Each line of the output is one attempt:
// what was tried, and what came of it. `got` means that it worked.
import * as childProcess from 'node:child_process';
import * as fs from 'node:fs';
import * as https from 'node:https';
import * as inspector from 'node:inspector';
import * as net from 'node:net';
import * as tls from 'node:tls';
import * as v8 from 'node:v8';
import { Worker } from 'node:worker_threads';

const { API_PORT, LINK_PORT, STATE_FOLDER, OTHER_UID, OTHER_WORD } = process.env;
const other = `${STATE_FOLDER}/pods/${OTHER_UID}`;

function say(name, outcome) {
  process.stdout.write(`${JSON.stringify({ name, outcome: String(outcome).slice(0, 200) })}\n`);
}

/** An attempt that works gives anything but undefined. */
async function attempt(name, run) {
  try {
    const result = await run();
    say(name, result === undefined ? 'stopped: nothing came of it' : `got ${result}`);
  } catch (error) {
    say(name, `stopped: ${error.code ?? error.message}`);
  }
}

const read = (path) => () => fs.readFileSync(path, 'utf8').slice(0, 40);
const write = (path) => () => (fs.writeFileSync(path, 'x'), path);

// Files of the machine, the agent and other pods.
await attempt('the node key', read(`${STATE_FOLDER}/identity.json`));
await attempt('the agent folder', () => fs.readdirSync(STATE_FOLDER).join());
await attempt('the state of another pod', read(`${other}/main/state.json`));
await attempt('the log of another pod', read(`${other}/main/log`));
await attempt('the password file of the machine', read('/etc/shadow'));
await attempt('the root by way of the init', () => fs.readdirSync('/proc/1/root').join());
await attempt('the folder of the init', () => fs.readdirSync('/proc/1/cwd').join());
await attempt('the files of the init', () => fs.readdirSync('/proc/1/fd').join());
await attempt('the environment of the init', read('/proc/1/environ'));
await attempt('a path that climbs', read('/app/../../../../etc/shadow'));
await attempt('a path of bytes that climbs', () =>
  fs.readFileSync(Buffer.from('/app/../etc/passwd')).toString().slice(0, 20),
);
await attempt('a file as a blob', async () => (await fs.openAsBlob('/etc/passwd')).size);
await attempt('the memory of the kernel', read('/proc/kcore'));
await attempt('the messages of the kernel', read('/proc/kmsg'));
await attempt('the devices of the machine', () => fs.readdirSync('/dev').join());
await attempt('the settings of the kernel', () => fs.readdirSync('/sys').join());
await attempt('the control groups', () => fs.readdirSync('/sys/fs/cgroup').join());
await attempt('a link out of the temporary folder', () => {
  fs.symlinkSync('/etc/shadow', '/tmp/link');
  return fs.readFileSync('/tmp/link', 'utf8');
});

// Writes outside.
await attempt('a write into the image', write('/app/escape.mjs'));
await attempt('a write into the root', write('/x'));
await attempt('a write into /etc', write('/etc/hosts'));
await attempt('a write over the runtime', write('/runtime/node'));
await attempt('a write into the libraries', write('/usr/lib/x'));
await attempt('a reboot by the kernel', write('/proc/sysrq-trigger'));
await attempt('a setting of the kernel', write('/proc/sys/kernel/hostname'));
await attempt('a report into the image', () => process.report.writeReport('/app/report.json'));
await attempt('a heap snapshot into the root', () => v8.writeHeapSnapshot('/snapshot'));

// Other programs, other processes, other users.
await attempt('a shell', () => childProcess.execSync('id').toString());
await attempt('a shell without waiting', () => childProcess.spawn('/bin/sh').pid);
await attempt('another script', () => childProcess.fork('/app/escape.mjs').pid);
await attempt('a worker', () => new Worker('1', { eval: true }).threadId);
await attempt('native code', () =>
  process.dlopen({ exports: {} }, '/usr/lib/x86_64-linux-gnu/libc.so.6'),
);
await attempt('the inspector', () => (inspector.open(0, '127.0.0.1'), inspector.url()));
await attempt('an internal binding', () => process.binding('spawn_sync').spawn({}));
await attempt('the user root', () => (process.setuid(0), 'root'));
await attempt('the group root', () => (process.setgid(0), 'root'));
await attempt('a signal to the init', () => process.kill(1, 'SIGKILL'));
await attempt('processes of others', () => {
  const own = new Set(['1', String(process.pid)]);
  const seen = fs.readdirSync('/proc').filter((name) => /^[0-9]+$/.test(name) && !own.has(name));
  return seen.length > 0 ? seen.join() : undefined;
});

// The network: what is there asks for credentials.
const ask = (path) => () =>
  new Promise((resolve, reject) => {
    const options = { host: '127.0.0.1', port: Number(API_PORT), path, rejectUnauthorized: false };
    https
      .get(options, (response) => {
        response.resume();
        if (response.statusCode === 401 || response.statusCode === 403)
          reject(new Error(String(response.statusCode)));
        else resolve(response.statusCode);
      })
      .on('error', reject);
  });
await attempt('the secrets of the API', ask('/api/v1/secrets'));
await attempt('the images', ask('/v2/_catalog'));
await attempt('the metrics', ask('/metrics'));
await attempt('a new node', ask('/apis/selvage.dev/v1/jointokens'));
await attempt(
  'the link without a certificate',
  () =>
    new Promise((resolve, reject) => {
      const socket = tls.connect({
        host: '127.0.0.1',
        port: Number(LINK_PORT),
        rejectUnauthorized: false,
      });
      socket.on('secureConnect', () => socket.write('hello'));
      socket.on('data', (bytes) => resolve(`${bytes.length} bytes`));
      socket.on('error', reject);
      socket.on('close', () => resolve(undefined));
    }),
);
await attempt(
  'a port below 1024',
  () =>
    new Promise((resolve, reject) => {
      const server = net.createServer();
      server.on('error', reject);
      server.listen(80, process.env.HOST, () => server.close(() => resolve('port 80')));
    }),
);
await attempt(
  'a socket of a container engine',
  () =>
    new Promise((resolve, reject) => {
      net.connect('/var/run/docker.sock', () => resolve('connected')).on('error', reject);
    }),
);

// All that there is of something.
await attempt('all file descriptors of the machine', () => {
  const open = [];
  try {
    for (let count = 0; count < 1_000_000; count += 1) open.push(fs.openSync('/app/escape.mjs'));
  } finally {
    for (const descriptor of open) fs.closeSync(descriptor);
  }
  return open.length;
});
await attempt('all room on the disk', () => {
  fs.writeFileSync('/tmp/all', Buffer.alloc(256 * 1024 * 1024));
  return 'a quarter of a GiB';
});
await attempt('the words of another pod', () => {
  const everything = JSON.stringify(process.env) + fs.readdirSync('/app').join();
  return everything.replace(JSON.stringify(OTHER_WORD), '').includes(`secret-${OTHER_WORD}`)
    ? 'its secret'
    : undefined;
});
await attempt('another program in its own place', () =>
  process.execve('/bin/sh', ['sh', '-c', 'id'], {}),
);
process.stdout.write('done\n');

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { utf8 } from '#base/mod.ts';
import type { Disk } from '#platform/io/mod.ts';
import { readAccessFile } from './access-file.ts';
import type { CliContext } from './context.ts';

const certificate = '-----BEGIN CERTIFICATE-----\nYQ==\n-----END CERTIFICATE-----\n';
const key = '-----BEGIN PRIVATE KEY-----\nYQ==\n-----END PRIVATE KEY-----\n';
const data = (pem: string): string => Buffer.from(pem).toString('base64');

/** What is read of `paths` where there are these files. */
function read(files: Readonly<Record<string, unknown>>, paths = '/home/config') {
  const diskAt = (folder: string): Pick<Disk, 'readFile'> => ({
    readFile(name) {
      const content = files[`${folder}/${name}`];
      if (content === undefined) return Promise.resolve(undefined);
      return Promise.resolve(utf8(typeof content === 'string' ? content : JSON.stringify(content)));
    },
  });
  const context = { workingDirectory: '/home', diskAt } as unknown as CliContext;
  return readAccessFile(context, paths);
}

const config = (user: unknown, cluster: object = {}): object => ({
  'current-context': 'here',
  contexts: [{ name: 'here', context: { cluster: 'lab', user: 'me' } }],
  clusters: [
    {
      name: 'lab',
      cluster: {
        server: 'https://127.0.0.1:7443',
        'certificate-authority-data': data(certificate),
        ...cluster,
      },
    },
  ],
  users: [{ name: 'me', user }],
});

test('certificates may be within the file or in files beside it', async () => {
  const expected = {
    address: { host: '127.0.0.1', port: 7443 },
    tls: {
      trustPem: certificate,
      credentials: { certificatePem: certificate, privateKeyPem: key },
    },
  };
  const embedded = config({
    'client-certificate-data': data(certificate),
    'client-key-data': data(key),
  });
  assert.deepEqual(await read({ '/home/config': embedded }), expected);
  const beside = config(
    { 'client-certificate': 'pki/me.pem', 'client-key': '/keys/me.key' },
    { 'certificate-authority-data': '', 'certificate-authority': 'pki/ca.pem' },
  );
  assert.deepEqual(
    await read({
      '/home/config': beside,
      '/home/pki/me.pem': certificate,
      '/home/pki/ca.pem': certificate,
      '/keys/me.key': key,
    }),
    expected,
  );
});

test('a token stands alone, also in a file of its own, and a server may have another name', async () => {
  const tls = { trustPem: certificate };
  const { token, ...access } = await read({ '/home/config': config({ token: 'abc' }) });
  assert.equal(token, 'abc');
  assert.deepEqual(access.tls, tls);
  const filed = config({ tokenFile: 'token' }, { 'tls-server-name': 'selvage' });
  const other = await read({ '/home/config': filed, '/home/token': 'def\n' });
  assert.equal(other.token, 'def');
  assert.deepEqual(other.tls, { ...tls, serverName: 'selvage' });
});

test('of several files the first that has an entry counts, and those not there are passed over', async () => {
  const first = { users: [{ name: 'me', user: { token: 'first' } }] };
  const files = { '/home/a': first, '/home/b': config({ token: 'second' }) };
  assert.equal((await read(files, '/home/none:/home/a:b')).token, 'first');
});

test('what is wrong is named, and nothing secret with it', async () => {
  const secret = data('hunter2');
  const cases: readonly [unknown, RegExp][] = [
    [undefined, /^there is no kubeconfig at \/home\/config\. Start a fleet/],
    ['{', /^\/home\/config is not YAML\.$/],
    ['- a', /^\/home\/config is not a kubeconfig\.$/],
    [{ contexts: [] }, /current-context is missing/],
    [{ 'current-context': 'x' }, /there is no context "x"/],
    [config(null), /neither client-certificate-data with client-key-data nor a token/],
    [config({ 'client-certificate-data': data(certificate) }), /client-key-data is missing/],
    [
      config({ 'client-certificate-data': data(certificate), 'client-key-data': secret }),
      /^\/home\/config: client-key-data holds no PEM\.$/,
    ],
    [config({ tokenFile: 'gone' }), /^there is no file \/home\/gone\.$/],
    [config({ exec: { command: 'aws' } }), /exec of its user is not known here/],
    [config({ token: 'x' }, { server: 'http://a' }), /must be an https:\/\/ address/],
    [config({ token: 'x' }, { 'insecure-skip-tls-verify': true }), /is not done here/],
    [config({ token: 'x' }, { 'certificate-authority-data': '' }), /authority-data is missing/],
  ];
  for (const [content, expected] of cases) {
    await assert.rejects(
      read(content === undefined ? {} : { '/home/config': content }),
      (thrown) => {
        assert.ok(thrown instanceof Error);
        assert.match(thrown.message, expected);
        assert.ok(!thrown.message.includes('hunter2') && !thrown.message.includes(secret));
        return true;
      },
    );
  }
});

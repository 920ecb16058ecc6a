// The built-in registry with the real skopeo: an image goes in and comes out the same.
import assert from 'node:assert/strict';
import { execFile, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { utf8 } from '#base/mod.ts';
import { builtInDefinitions } from '#platform/api/mod.ts';
import {
  createImageCatalog,
  createRegistryHandler,
  digestOf,
  mediaTypes,
  type OciDescriptor,
  openBlobStore,
  type TaggedImages,
} from '#platform/blobs/mod.ts';
import {
  type CertificateAuthority,
  createJoinTokens,
  nodeSubject,
  openCertificateAuthority,
} from '#platform/identity/mod.ts';
import { type Credentials, silentLogger } from '#platform/io/mod.ts';
import {
  createNodeClock,
  createNodeDisk,
  createNodeHttpServer,
  createNodeKeys,
  createNodeRandom,
  createNodeTimers,
} from '#platform/io/node/mod.ts';
import { openStore } from '#platform/store/mod.ts';
import { createServer } from '#roles/server/mod.ts';

const folder = mkdtempSync(join(tmpdir(), 'registry-'));
const commandTimeoutMs = 60_000;
let registry = '';
let images: TaggedImages;
let authority: CertificateAuthority;
const closers: (() => Promise<void>)[] = [];

before(async () => {
  installSkopeo();
  const disk = createNodeDisk(join(folder, 'server'));
  const random = createNodeRandom();
  const [clock, keys, timers] = [createNodeClock(), createNodeKeys(), createNodeTimers()];
  const ports = { random, clock, timers, logger: silentLogger };
  const store = await openStore({ ...ports, disk: disk.within('store') });
  const eventStore = await openStore({ ...ports, disk: disk.within('events') });
  const blobs = await openBlobStore({ disk: disk.within('blobs'), random });
  images = createImageCatalog(store, blobs, random);
  authority = await openCertificateAuthority({ ...ports, keys, disk: disk.within('authority') });
  const server = await createServer({
    ...ports,
    store,
    eventStore,
    definitions: builtInDefinitions,
    joinTokens: createJoinTokens({ ...ports, store, authority, keys }),
    podLogs: {
      open() {
        throw new Error('this server has no nodes');
      },
    },
    registryHandler: createRegistryHandler({ blobs, images }),
    linkAddress: () => ({ host: '127.0.0.1', port: 1 }),
    version: {
      version: '0.0.0',
      gitCommit: 'none',
      buildDate: '2026-01-01T00:00:00Z',
      platform: 'linux/amd64',
    },
  });
  const listener = await createNodeHttpServer().listen(
    {
      address: { host: '127.0.0.1', port: 0 },
      connectionsMax: 50,
      tls: {
        credentials: await authority.issueServer({ dnsNames: [], ipAddresses: ['127.0.0.1'] }),
        trustPem: authority.caPem,
        clientCertificate: 'request',
      },
    },
    server.handler,
  );
  registry = `127.0.0.1:${listener.address.port}`;
  closers.push(async () => {
    server.close();
    await listener.close();
    images.close();
    await store.close();
    await eventStore.close();
  });
  // After the closers are known: what fails here must not leave the listener open.
  writeCertificates(
    'admin',
    await authority.issueClient({ commonName: 'admin', organizations: ['system:masters'] }),
  );
  const pair = await keys.createKeyPair();
  const request = await keys.createRequest(pair, nodeSubject('n1'));
  const certificatePem = await authority.issueNode(request, 'n1');
  writeCertificates('node', { certificatePem, privateKeyPem: pair.privateKeyPem });
});

after(async () => {
  for (const close of closers) await close();
  rmSync(folder, { recursive: true });
});

function installSkopeo(): void {
  const isThere = (): boolean => spawnSync('skopeo', ['--version']).status === 0;
  if (isThere()) return;
  process.stderr.write('no skopeo on PATH: installing the Debian package\n');
  spawnSync('sh', ['-c', 'apt-get update -q && apt-get install -q -y skopeo'], {
    stdio: 'inherit',
  });
  assert.ok(isThere(), 'skopeo is neither on PATH nor could it be installed');
}

/** A folder of certificates as skopeo takes it. */
function writeCertificates(name: string, { certificatePem, privateKeyPem }: Credentials): void {
  mkdirSync(join(folder, name));
  writeFileSync(join(folder, name, 'ca.crt'), authority.caPem);
  writeFileSync(join(folder, name, 'client.cert'), certificatePem);
  writeFileSync(join(folder, name, 'client.key'), privateKeyPem);
}

function skopeo(...words: string[]): Promise<{ readonly status: number; readonly text: string }> {
  return new Promise((resolve) => {
    const options = { timeout: commandTimeoutMs, env: { ...process.env, HOME: folder } };
    execFile('skopeo', ['--insecure-policy', ...words], options, (error, stdout, stderr) => {
      const status = error === null ? 0 : typeof error.code === 'number' ? error.code : 1;
      resolve({ status, text: `${stdout}${stderr}` });
    });
  });
}

/** An image for two platforms as an OCI layout, with a layer larger than one chunk. */
function writeLayout(path: string): void {
  const blobFolder = join(path, 'blobs', 'sha256');
  mkdirSync(blobFolder, { recursive: true });
  const put = (bytes: Uint8Array, mediaType: string): OciDescriptor => {
    const digest = digestOf(bytes);
    writeFileSync(join(blobFolder, digest.slice(7)), bytes);
    return { mediaType, digest, size: bytes.length };
  };
  const putJson = (value: unknown, mediaType: string): OciDescriptor =>
    put(utf8(JSON.stringify(value)), mediaType);
  const manifests = ['amd64', 'arm64'].map((architecture) => {
    const layer = createNodeRandom().bytes(700_000);
    const config = putJson(
      {
        os: 'linux',
        architecture,
        config: {},
        rootfs: { type: 'layers', diff_ids: [digestOf(layer)] },
      },
      mediaTypes.config,
    );
    const layers = [put(new Uint8Array(gzipSync(layer)), mediaTypes.layerTarGzip)];
    const mediaType = mediaTypes.manifest;
    const manifest = putJson({ schemaVersion: 2, mediaType, config, layers }, mediaType);
    return { ...manifest, platform: { os: 'linux', architecture } };
  });
  const index = putJson(
    { schemaVersion: 2, mediaType: mediaTypes.index, manifests },
    mediaTypes.index,
  );
  const annotations = { 'org.opencontainers.image.ref.name': 'v1' };
  const top = { schemaVersion: 2, manifests: [{ ...index, annotations }] };
  writeFileSync(join(path, 'index.json'), JSON.stringify(top));
  writeFileSync(join(path, 'oci-layout'), '{"imageLayoutVersion":"1.0.0"}');
}

const certificates = (name: string): string => join(folder, name);

test('an image for two platforms goes in and comes out with the same blobs', async () => {
  const [input, output] = [join(folder, 'in'), join(folder, 'out')];
  writeLayout(input);
  const name = `docker://${registry}/team/app:v1`;
  const pushed = await skopeo(
    ...['copy', '--all', '--dest-cert-dir', certificates('admin'), `oci:${input}:v1`, name],
  );
  assert.equal(pushed.status, 0, pushed.text);
  const resolved = await images.resolve('team/app:v1');
  assert.deepEqual(resolved?.platforms, ['linux/amd64', 'linux/arm64']);
  // Nodes may pull.
  const pulled = await skopeo(
    ...['copy', '--all', '--src-cert-dir', certificates('node'), name, `oci:${output}:v1`],
  );
  assert.equal(pulled.status, 0, pulled.text);
  const blobsOf = (path: string): string[] => readdirSync(join(path, 'blobs', 'sha256')).sort();
  assert.deepEqual(blobsOf(output), blobsOf(input));
});

test('a single manifest in the older Docker format is taken too', async () => {
  const name = `docker://${registry}/plain:latest`;
  const pushed = await skopeo(
    ...['--override-arch', 'arm64', 'copy', '--format', 'v2s2'],
    ...['--dest-cert-dir', certificates('admin'), `oci:${join(folder, 'in')}:v1`, name],
  );
  assert.equal(pushed.status, 0, pushed.text);
  assert.deepEqual((await images.resolve('plain'))?.platforms, ['linux/arm64']);
  const inspected = await skopeo('inspect', '--cert-dir', certificates('admin'), name);
  assert.equal(inspected.status, 0, inspected.text);
  assert.match(inspected.text, /"Architecture": "arm64"/);
});

test('tags are listed and deleted, and only administrators push', async () => {
  const listed = await skopeo(
    ...['list-tags', '--cert-dir', certificates('admin'), `docker://${registry}/team/app`],
  );
  assert.match(listed.text, /"v1"/);
  const stolen = await skopeo(
    ...['copy', '--all', '--dest-cert-dir', certificates('node')],
    ...[`oci:${join(folder, 'in')}:v1`, `docker://${registry}/stolen:v1`],
  );
  assert.notEqual(stolen.status, 0);
  assert.equal(await images.resolve('stolen:v1'), undefined);
  const deleted = await skopeo(
    ...['delete', '--cert-dir', certificates('admin'), `docker://${registry}/team/app:v1`],
  );
  assert.equal(deleted.status, 0, deleted.text);
  assert.equal(await images.resolve('team/app:v1'), undefined);
});

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { SelvageError } from '#base/mod.ts';
import {
  createNodeClock,
  createNodeDisk,
  createNodeKeys,
  createNodeRandom,
} from '#platform/io/node/mod.ts';
import { openCertificateAuthority } from './authority.ts';

/** A request as people make them. */
function requestOf(folder: string, newKey: readonly string[], subject: string): string {
  const out = join(folder, 'request.pem');
  const words = ['req', '-new', '-nodes', ...newKey, '-keyout', join(folder, 'key.pem')];
  const made = spawnSync('openssl', [...words, '-subj', subject, '-out', out], {
    encoding: 'utf8',
  });
  assert.equal(made.status, 0, made.stderr);
  return readFileSync(out, 'utf8');
}

test('a user gets a certificate for a key of any good form, and never a name of the system', async (context) => {
  const folder = mkdtempSync(join(tmpdir(), 'users-'));
  context.after(() => rmSync(folder, { recursive: true }));
  const keys = createNodeKeys();
  const authority = await openCertificateAuthority({
    disk: createNodeDisk(join(folder, 'ca')),
    keys,
    clock: createNodeClock(),
    random: createNodeRandom(),
  });
  const forms = [
    ['-newkey', 'rsa:2048'],
    ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256'],
    ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-384'],
    ['-newkey', 'ed25519'],
  ];
  for (const form of forms) {
    const request = requestOf(folder, form, '/CN=ann/O=team/O=other');
    const pem = await authority.issueUser(request, { lifetimeMs: 3_600_000 });
    const { subject } = keys.readCertificate(pem);
    assert.deepEqual(subject, { commonName: 'ann', organizations: ['team', 'other'] });
  }
  const refused = async (form: readonly string[], subject: string): Promise<string> => {
    const error: unknown = await authority.issueUser(requestOf(folder, form, subject)).then(
      () => undefined,
      (thrown: unknown) => thrown,
    );
    return error instanceof SelvageError ? error.code : String(error);
  };
  const small = ['-newkey', 'rsa:1024'];
  const [, good = small] = forms;
  assert.deepEqual(
    [
      await refused(small, '/CN=ann'),
      await refused(good, '/CN=ann/O=system:masters'),
      await refused(good, '/CN=ann/O=system:nodes'),
      await refused(good, '/CN=system:node:node-1/O=system:nodes'),
      await refused(good, '/O=team'),
    ],
    [
      'KEYS_BAD_REQUEST',
      'IDENTITY_NAME_RESERVED',
      'IDENTITY_NAME_RESERVED',
      'IDENTITY_NAME_RESERVED',
      'KEYS_BAD_REQUEST',
    ],
  );
});

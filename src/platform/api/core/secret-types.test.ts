import assert from 'node:assert/strict';
import { test } from 'node:test';
import { secretTypeWarnings, validateSecretType } from './secret-types.ts';
import type { Secret } from './secret.ts';

const base64 = (text: string): string => Buffer.from(text).toString('base64');

function secret(type: string, data: Record<string, string>, annotations = {}): Secret {
  return { apiVersion: 'v1', kind: 'Secret', metadata: { name: 's', annotations }, type, data };
}

const faults = (...given: Parameters<typeof secret>): string[] =>
  validateSecretType(secret(...given)).map(({ field, reason }) => `${field}: ${reason}`);

test('a secret of a type that programs rely on has what they read', () => {
  const cases: readonly [type: string, data: Record<string, string>, faults: string[]][] = [
    ['Opaque', {}, []],
    ['example.com/own', {}, []],
    ['kubernetes.io/tls', { 'tls.crt': '', 'tls.key': '' }, []],
    ['kubernetes.io/tls', { 'tls.crt': 'YQ==' }, ['data[tls.key]: FieldValueRequired']],
    ['kubernetes.io/ssh-auth', { 'ssh-privatekey': 'YQ==' }, []],
    [
      'kubernetes.io/ssh-auth',
      { 'ssh-privatekey': '' },
      ['data[ssh-privatekey]: FieldValueRequired'],
    ],
    ['kubernetes.io/basic-auth', { password: '' }, []],
    ['kubernetes.io/basic-auth', {}, ['data[username]: FieldValueRequired']],
    ['kubernetes.io/dockerconfigjson', { '.dockerconfigjson': base64('{"auths":{}}') }, []],
    [
      'kubernetes.io/dockerconfigjson',
      { '.dockerconfigjson': base64('not json') },
      ['data[.dockerconfigjson]: FieldValueInvalid'],
    ],
    ['kubernetes.io/dockercfg', {}, ['data[.dockercfg]: FieldValueRequired']],
  ];
  for (const [type, data, expected] of cases) assert.deepEqual(faults(type, data), expected, type);
});

test('a secret for a token names whose, and its maker is told that none comes', () => {
  const type = 'kubernetes.io/service-account-token';
  const field = 'metadata.annotations[kubernetes.io/service-account.name]';
  assert.deepEqual(faults(type, {}), [`${field}: FieldValueRequired`]);
  const named = secret(type, {}, { 'kubernetes.io/service-account.name': 'robot' });
  assert.deepEqual(validateSecretType(named), []);
  assert.match(secretTypeWarnings(named).join(), /no token is put into it; use 'kubectl create/);
  assert.deepEqual(secretTypeWarnings({ ...named, data: { token: 'YQ==' } }), []);
  assert.deepEqual(secretTypeWarnings(secret('Opaque', {})), []);
});

test('what a secret holds is in no error', () => {
  const [fault] = validateSecretType(
    secret('kubernetes.io/dockercfg', { '.dockercfg': base64('hunter2') }),
  );
  assert.ok(!JSON.stringify(fault).includes('hunter2'));
  assert.ok(!JSON.stringify(fault).includes(base64('hunter2')));
});

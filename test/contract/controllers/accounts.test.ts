import { strict as assert } from 'node:assert';
import { test } from 'node:test';
import { type ApiObject, resources, type ServiceAccount } from '#platform/api/mod.ts';
import { openControlPlane } from './control-plane.ts';

test('every namespace has an account for pods that name none, and it comes back', async () => {
  const plane = await openControlPlane(12);
  const { client } = plane;
  const namespace: ApiObject = { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'shop' } };
  await plane.act(client.create(resources.namespaces, namespace));
  const accounts = async (): Promise<readonly ServiceAccount[]> =>
    await plane.list(resources.serviceAccounts, 'shop');
  await plane.until('the account is there', async () => (await accounts()).length === 1);
  const [account] = await accounts();
  assert.deepEqual(
    [account?.metadata.name, account?.automountServiceAccountToken],
    ['default', false],
  );
  await plane.act(client.delete(resources.serviceAccounts, 'shop', 'default', {}));
  await plane.until('it is back', async () => {
    const [now] = await accounts();
    return now !== undefined && now.metadata.uid !== account?.metadata.uid;
  });
  await plane.act(client.delete(resources.namespaces, '', 'shop', {}));
  await plane.until('the namespace goes', async () => {
    return !(await plane.list(resources.namespaces, '')).some(
      ({ metadata }) => metadata.name === 'shop',
    );
  });
  await plane.close();
});

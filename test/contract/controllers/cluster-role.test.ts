import { strict as assert } from 'node:assert';
import { test } from 'node:test';
import { type ApiObject, type ClusterRole, rbacGroup, resources } from '#platform/api/mod.ts';
import { openControlPlane } from './control-plane.ts';

test('a role with the label of an aggregated one is part of it, through two steps, until the label goes', async () => {
  const plane = await openControlPlane(11);
  const rule = { verbs: ['get'], apiGroups: ['example.com'], resources: ['things'] };
  const label = `${rbacGroup}/aggregate-to-view`;
  const role: ApiObject = {
    apiVersion: `${rbacGroup}/v1`,
    kind: 'ClusterRole',
    metadata: { name: 'things-viewer', labels: { [label]: 'true' } },
    rules: [rule],
  };
  const holds = async (name: string): Promise<boolean> => {
    const roles = (await plane.list(resources.clusterRoles, '')) as ClusterRole[];
    const rules = roles.find(({ metadata }) => metadata.name === name)?.rules ?? [];
    return rules.some(({ apiGroups }) => apiGroups?.includes('example.com') === true);
  };
  const { client } = plane;
  await plane.act(client.create(resources.clusterRoles, role));
  await plane.until('view, edit and admin have the rule', async () => {
    return (await holds('view')) && (await holds('edit')) && (await holds('admin'));
  });
  assert.equal(await holds('cluster-admin'), false);
  await plane.act(
    client.mergePatch(resources.clusterRoles, '', 'things-viewer', {
      metadata: { labels: { [label]: null } },
    }),
  );
  await plane.until('none has it any more', async () => {
    return !(await holds('view')) && !(await holds('edit')) && !(await holds('admin'));
  });
  await plane.close();
});

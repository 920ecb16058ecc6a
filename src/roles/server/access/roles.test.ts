import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { JsonObject } from '#base/mod.ts';
import { createNodeClock, createNodeRandom } from '#platform/io/node/mod.ts';
import { type Person, type TestServer, withServer } from '../harness.contract.ts';
import { createServedObjects } from '../served-objects.ts';
import { keepBuiltInRoles } from './bootstrap.ts';

const rbac = '/apis/rbac.authorization.k8s.io/v1';
const apiVersion = 'rbac.authorization.k8s.io/v1';
const ann: Person = { name: 'ann', groups: ['team'] };
const pods = '/api/v1/namespaces/default/pods';

async function make(
  server: TestServer,
  path: string,
  kind: string,
  body: JsonObject,
  as?: Person,
): Promise<{ status: number; message: unknown }> {
  const { status, json } = await server.call('POST', `${rbac}/${path}`, {
    body: { apiVersion, kind, ...body },
    ...(as === undefined ? {} : { as }),
  });
  return { status, message: json['message'] };
}

async function statusOf(server: TestServer, target: string, as: Person = ann): Promise<number> {
  return (await server.call('GET', target, { as })).status;
}

const reader = {
  metadata: { name: 'reader' },
  rules: [{ verbs: ['get', 'list'], apiGroups: [''], resources: ['pods'] }],
};

function bound(kind: string, name: string, subjects: JsonObject[]): JsonObject {
  return { metadata: { name: 'b' }, roleRef: { kind, name }, subjects };
}

test('a role holds from the answer to its binding on, where it was bound, and no longer than that', () =>
  withServer(async (server) => {
    const inDefault = 'namespaces/default/rolebindings';
    assert.equal(await statusOf(server, pods), 403);
    await make(server, 'namespaces/default/roles', 'Role', reader);
    await make(
      server,
      inDefault,
      'RoleBinding',
      bound('Role', 'reader', [{ kind: 'User', name: 'ann' }]),
    );
    assert.deepEqual(
      [
        await statusOf(server, pods),
        await statusOf(server, `${pods}/absent`),
        await statusOf(server, `${pods}/absent/log`),
        await statusOf(server, '/api/v1/pods'),
        await statusOf(server, '/api/v1/namespaces/kube-system/pods'),
        await statusOf(server, '/api/v1/namespaces/default/services'),
        await statusOf(server, pods, { name: 'bert', groups: [] }),
      ],
      [200, 404, 403, 403, 403, 403, 403],
    );
    await server.call('DELETE', `${rbac}/${inDefault}/b`);
    assert.equal(await statusOf(server, pods), 403);
  }));

test('groups, names of objects, subresources and paths are what a rule says', () =>
  withServer(async (server) => {
    const rules = [
      { verbs: ['get'], apiGroups: [''], resources: ['configmaps'], resourceNames: ['one'] },
      { verbs: ['get'], apiGroups: ['*'], resources: ['*/status'] },
      { verbs: ['get'], nonResourceURLs: ['/metr*'] },
    ];
    await make(server, 'clusterroles', 'ClusterRole', { metadata: { name: 'odd' }, rules });
    await make(
      server,
      'clusterrolebindings',
      'ClusterRoleBinding',
      bound('ClusterRole', 'odd', [{ kind: 'Group', name: 'team' }]),
    );
    const maps = '/api/v1/namespaces/default/configmaps';
    assert.deepEqual(
      [
        await statusOf(server, `${maps}/one`),
        await statusOf(server, `${maps}/two`),
        await statusOf(server, maps),
        await statusOf(server, `${pods}/absent/status`),
        await statusOf(server, `${pods}/absent`),
        await statusOf(server, '/metrics'),
      ],
      [404, 403, 403, 404, 403, 200],
    );
  }));

test('who holds a role in a namespace may look at that namespace', () =>
  withServer(async (server) => {
    const subjects = [{ kind: 'User', name: 'ann' }];
    await make(
      server,
      'namespaces/default/rolebindings',
      'RoleBinding',
      bound('ClusterRole', 'view', subjects),
    );
    assert.deepEqual(
      [
        await statusOf(server, '/api/v1/namespaces/default'),
        await statusOf(server, '/api/v1/namespaces/kube-system'),
        await statusOf(server, '/api/v1/namespaces'),
        await statusOf(server, '/api/v1/namespaces/default/secrets'),
      ],
      [200, 403, 403, 403],
    );
  }));

test('nobody gives what they do not hold, unless they may escalate or bind', () =>
  withServer(async (server) => {
    const subjects = [{ kind: 'User', name: 'ann' }];
    await make(
      server,
      'namespaces/default/rolebindings',
      'RoleBinding',
      bound('ClusterRole', 'admin', subjects),
    );
    const roles = 'namespaces/default/roles';
    const bindings = 'namespaces/default/rolebindings';
    const strong = {
      metadata: { name: 'strong' },
      rules: [{ verbs: ['*'], apiGroups: ['*'], resources: ['*'] }],
    };
    assert.equal((await make(server, roles, 'Role', reader, ann)).status, 201);
    assert.deepEqual(await make(server, roles, 'Role', strong, ann), {
      status: 403,
      message:
        'roles.rbac.authorization.k8s.io "strong" is forbidden: user "ann" (groups=["team" "system:authenticated"]) ' +
        'is attempting to grant RBAC permissions not currently held:\n{APIGroups:["*"], Resources:["*"], Verbs:["*"]}',
    });
    const toAdmin = { ...bound('ClusterRole', 'cluster-admin', subjects), metadata: { name: 'c' } };
    assert.equal((await make(server, bindings, 'RoleBinding', toAdmin, ann)).status, 403);
    const toAbsent = { ...bound('Role', 'absent', subjects), metadata: { name: 'd' } };
    assert.equal((await make(server, bindings, 'RoleBinding', toAbsent, ann)).status, 403);
    // A patch of the rules is held to the same, a label may be changed.
    await make(server, roles, 'Role', strong);
    const patched = async (body: JsonObject): Promise<number> =>
      (
        await server.call('PATCH', `${rbac}/${roles}/strong`, {
          as: ann,
          body,
          headers: { 'content-type': 'application/merge-patch+json' },
        })
      ).status;
    assert.equal(await patched({ metadata: { labels: { a: 'b' } } }), 200);
    assert.equal(
      await patched({ rules: [{ verbs: ['bind'], apiGroups: ['*'], resources: ['*'] }] }),
      403,
    );
    const free = {
      metadata: { name: 'free' },
      rules: [
        { verbs: ['escalate'], apiGroups: ['rbac.authorization.k8s.io'], resources: ['roles'] },
        {
          verbs: ['bind'],
          apiGroups: ['rbac.authorization.k8s.io'],
          resources: ['clusterroles'],
          resourceNames: ['cluster-admin'],
        },
      ],
    };
    await make(server, roles, 'Role', free);
    await make(server, bindings, 'RoleBinding', {
      ...bound('Role', 'free', subjects),
      metadata: { name: 'free' },
    });
    assert.equal(
      await patched({ rules: [{ verbs: ['bind'], apiGroups: ['*'], resources: ['*'] }] }),
      200,
    );
    assert.equal((await make(server, bindings, 'RoleBinding', toAdmin, ann)).status, 201);
  }));

test('what is wrong with a role or binding is said by the field, and a binding keeps its role', () =>
  withServer(async (server) => {
    const role = async (rules: JsonObject[]): Promise<unknown> =>
      (await make(server, 'namespaces/default/roles', 'Role', { metadata: { name: 'r' }, rules }))
        .message;
    const prefix = 'Role.rbac.authorization.k8s.io "r" is invalid: ';
    assert.deepEqual(
      [
        await role([{ verbs: [], apiGroups: [''], resources: ['pods'] }]),
        await role([{ verbs: ['get'], resources: ['pods'] }]),
        await role([{ verbs: ['get'], nonResourceURLs: ['/metrics'] }]),
      ],
      [
        `${prefix}rules[0].verbs: Required value: verbs must contain at least one value`,
        `${prefix}rules[0].apiGroups: Required value: resource rules must supply at least one api group`,
        `${prefix}rules[0].nonResourceURLs: Invalid value: "/metrics": namespaced rules cannot apply to non-resource URLs: use a ClusterRole`,
      ],
    );
    const subjects = [{ kind: 'ServiceAccount', name: 's' }];
    const { message } = await make(
      server,
      'clusterrolebindings',
      'ClusterRoleBinding',
      bound('Role', 'view', subjects),
    );
    assert.match(
      JSON.stringify(message),
      /roleRef.kind: Invalid value: \\"Role\\": must be ClusterRole/,
    );
    assert.match(JSON.stringify(message), /subjects\[0\].namespace: Required value/);
    const good = bound('ClusterRole', 'view', [{ kind: 'User', name: 'ann' }]);
    await make(server, 'clusterrolebindings', 'ClusterRoleBinding', good);
    const changed = await server.call('PUT', `${rbac}/clusterrolebindings/b`, {
      body: {
        apiVersion,
        kind: 'ClusterRoleBinding',
        ...good,
        roleRef: { kind: 'ClusterRole', name: 'edit' },
      },
    });
    assert.equal(changed.status, 422);
    assert.match(changed.text, /cannot change roleRef/);
  }));

test('built-in roles are made whole at a start, and what people added to them stays', () =>
  withServer(async (server) => {
    const view = `${rbac}/clusterroles/system:aggregate-to-view`;
    const parts = {
      store: server.store,
      registry: server.server.registry,
      served: createServedObjects(),
      clock: createNodeClock(),
      random: createNodeRandom(),
    };
    const before = await server.call('GET', view);
    const revision = server.store.revision;
    await keepBuiltInRoles(parts);
    assert.equal(server.store.revision, revision, 'a second start writes nothing');
    const [, ...others] = before.json['rules'] as JsonObject[];
    const own = { verbs: ['get'], apiGroups: ['example.com'], resources: ['things'] };
    const merge = { 'content-type': 'application/merge-patch+json' };
    await server.call('PATCH', view, { body: { rules: [own, ...others] }, headers: merge });
    await keepBuiltInRoles(parts);
    const after = (await server.call('GET', view)).json['rules'] as JsonObject[];
    assert.deepEqual(after[0], own);
    assert.ok(JSON.stringify(after).includes('"pods/log"'));
    const off = {
      metadata: { annotations: { 'rbac.authorization.kubernetes.io/autoupdate': 'false' } },
    };
    await server.call('PATCH', view, { body: { ...off, rules: [own] }, headers: merge });
    await keepBuiltInRoles(parts);
    assert.deepEqual((await server.call('GET', view)).json['rules'], [own]);
  }));

test('a ClusterRole is made part of another by its labels by whoever holds its rules, and by nobody else', () =>
  withServer(async (server) => {
    const bert: Person = { name: 'bert', groups: [] };
    const carol: Person = { name: 'carol', groups: [] };
    const rule = (verbs: string[], apiGroup: string, resource: string): JsonObject => {
      return { verbs, apiGroups: [apiGroup], resources: [resource] };
    };
    const group = 'rbac.authorization.k8s.io';
    const changing = rule(['create', 'get', 'patch', 'update'], group, 'clusterroles');
    const given: Record<string, JsonObject[]> = {
      ann: [changing, ...reader.rules],
      bert: [changing],
      carol: [changing, rule(['escalate'], group, 'clusterroles')],
    };
    for (const [name, rules] of Object.entries(given)) {
      const subjects = [{ kind: 'User', name }];
      const binding = { ...bound('ClusterRole', name, subjects), metadata: { name } };
      const made = [
        await make(server, 'clusterroles', 'ClusterRole', { metadata: { name }, rules }),
        await make(server, 'clusterrolebindings', 'ClusterRoleBinding', binding),
      ];
      assert.deepEqual(
        made.map(({ status }) => status),
        [201, 201],
      );
    }
    const aggregate = `${group}/aggregate-to-view`;
    const labelled = async (name: string, value: string | null, as: Person): Promise<number> => {
      const target = `${rbac}/clusterroles/${name}`;
      const before = await server.call('GET', target);
      const { status } = await server.call('PATCH', target, {
        as,
        body: { metadata: { labels: { [aggregate]: value } } },
        headers: { 'content-type': 'application/merge-patch+json' },
      });
      const after = await server.call('GET', target);
      if (status === 403) assert.equal(after.text, before.text);
      else assert.equal(after.text.includes(aggregate), value !== null);
      return status;
    };
    const secrets = { metadata: { name: 'secrets' }, rules: [rule(['get'], '', 'secrets')] };
    await make(server, 'clusterroles', 'ClusterRole', reader);
    await make(server, 'clusterroles', 'ClusterRole', secrets);
    assert.deepEqual(
      [
        await labelled('reader', 'true', bert),
        await labelled('reader', 'true', ann),
        await labelled('reader', null, ann),
        await labelled('secrets', 'true', ann),
        await labelled('secrets', 'true', carol),
      ],
      [403, 200, 200, 403, 200],
    );
    // Made with the label at once it is the same.
    const withLabel = (name: string): JsonObject => {
      return { metadata: { name, labels: { [aggregate]: 'true' } }, rules: reader.rules };
    };
    assert.deepEqual(
      [
        (await make(server, 'clusterroles', 'ClusterRole', withLabel('one'), bert)).status,
        (await make(server, 'clusterroles', 'ClusterRole', withLabel('two'), ann)).status,
      ],
      [403, 201],
    );
  }));

test('who may list objects by name lists and watches those, and says which by the field selector', () =>
  withServer(async (server) => {
    const maps = '/api/v1/namespaces/default/configmaps';
    for (const name of ['mine', 'other']) {
      const body = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name } };
      assert.equal((await server.call('POST', maps, { body })).status, 201);
    }
    const verbs = ['list', 'watch', 'deletecollection'];
    const resources = ['configmaps', 'namespaces'];
    const rules = [{ verbs, apiGroups: [''], resources, resourceNames: ['mine', 'default'] }];
    const role = { metadata: { name: 'named' }, rules };
    await make(server, 'namespaces/default/roles', 'Role', role);
    const subjects = [{ kind: 'User', name: 'ann' }];
    const binding = bound('Role', 'named', subjects);
    await make(server, 'namespaces/default/rolebindings', 'RoleBinding', binding);
    const by = (selector: string): string => `?fieldSelector=${encodeURIComponent(selector)}`;
    const mine = by('metadata.name=mine');
    const listed = await server.call('GET', `${maps}${mine}`, { as: ann });
    assert.deepEqual([listed.status, Array.isArray(listed.json['items'])], [200, true]);
    assert.match(listed.text, /"name":"mine"/);
    assert.doesNotMatch(listed.text, /"name":"other"/);
    const watch = await server.watch(`${maps}${mine}&watch=true`, { as: ann });
    assert.equal(watch.status, 200);
    assert.match(JSON.stringify(await watch.lines(1)), /"name":"mine"/);
    watch.close();
    const selectors = [
      'metadata.name=other',
      'metadata.name!=mine',
      'metadata.namespace=mine',
      'metadata.name=other,metadata.name=mine',
      'nonsense',
      '',
    ];
    for (const selector of selectors) {
      for (const more of ['', '&watch=true']) {
        assert.equal(await statusOf(server, `${maps}${by(selector)}${more}`), 403, selector);
      }
    }
    assert.equal(
      await statusOf(server, `${maps}${by('metadata.name=mine,metadata.name=no')}`),
      200,
    );
    const refused = await server.call('GET', `${maps}${by('metadata.name=other')}`, { as: ann });
    assert.match(
      refused.text,
      /"configmaps \\"other\\" is forbidden: User \\"ann\\" cannot list resource/,
    );
    // Elsewhere it is nobody's, and what is held in a namespace is not held over namespaces.
    assert.equal(await statusOf(server, `/api/v1/configmaps${mine}`), 403);
    assert.equal(await statusOf(server, `/api/v1/namespaces${by('metadata.name=default')}`), 403);
    // What a selector names is not what a collection is deleted by: as in Kubernetes.
    const deleted = await server.call('DELETE', `${maps}${mine}`, { as: ann });
    assert.equal(deleted.status, 403);
  }));

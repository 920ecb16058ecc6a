// oxlint-disable typescript/no-explicit-any -- tests read deep into JSON that was just made
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  aggregatedDiscoveryOf,
  ApiModelError,
  apiGroupListOf,
  apiResourceListOf,
  builtInDefinitions,
  componentNameOf,
  coreVersionsOf,
  createDefinitionRegistry,
  openApiDocumentsOf,
  type ResourceDefinition,
  resourceName,
  type Schema,
} from './mod.ts';

const registry = createDefinitionRegistry(builtInDefinitions);

test('every built-in kind is found by each of its names', () => {
  for (const definition of builtInDefinitions) {
    const { group, version, plural, kind } = definition;
    assert.equal(registry.byResource(group, version, plural), definition);
    assert.equal(registry.byKind(group, version, kind), definition);
    const stored = definition.viewOf ?? definition;
    assert.equal(registry.byStoreResource(resourceName(definition)), stored);
  }
  assert.equal(registry.groupVersions[0]?.group, '');
});

test('definitions that contradict each other or lack descriptions are refused', () => {
  const [first] = builtInDefinitions as [ResourceDefinition];
  const withSpec = (spec: Schema): ResourceDefinition => ({
    ...first,
    schema: { ...first.schema, properties: { ...first.schema.properties, spec } },
  });
  const cases: [readonly ResourceDefinition[], RegExp][] = [
    [[first, first], /defined twice/],
    [[withSpec({ type: 'object' })], /spec has no description/],
    [[withSpec({ description: 'x' })], /spec has no type/],
    [[withSpec({ type: 'array', description: 'x' })], /spec has no items/],
    [[withSpec({ type: 'object', description: 'x', required: ['y'] })], /spec requires unknown y/],
  ];
  for (const [definitions, expected] of cases) {
    assert.throws(
      () => createDefinitionRegistry(definitions),
      (error) => error instanceof ApiModelError && expected.test(error.message),
    );
  }
});

test('plain and aggregated discovery name the same kinds with their scopes and verbs', () => {
  assert.deepEqual(coreVersionsOf(registry)['versions'], ['v1']);
  const groups = (apiGroupListOf(registry) as any).groups.map(
    (group: { name: string }) => group.name,
  );
  const named = builtInDefinitions.map(({ group }) => group).filter((group) => group !== '');
  assert.deepEqual(groups, [...new Set(named)]);
  const plain = (apiResourceListOf(registry, 'apps', 'v1') as any).resources;
  const scale = plain.find((resource: { name: string }) => resource.name === 'deployments/scale');
  assert.deepEqual([scale.group, scale.version, scale.kind], ['autoscaling', 'v1', 'Scale']);
  for (const part of ['core', 'groups'] as const) {
    for (const item of (aggregatedDiscoveryOf(registry, part) as any).items) {
      for (const version of item.versions) {
        const list = apiResourceListOf(registry, item.metadata.name ?? '', version.version) as any;
        const short = list.resources.filter(
          (resource: { name: string }) => !resource.name.includes('/'),
        );
        assert.deepEqual(
          version.resources.map((resource: any) => [
            resource.resource,
            resource.scope === 'Namespaced',
            resource.verbs,
          ]),
          short.map((resource: any) => [resource.name, resource.namespaced, resource.verbs]),
        );
      }
    }
  }
});

test('every group version has an OpenAPI document whose references resolve', () => {
  const documents = openApiDocumentsOf(registry, '0.1.0');
  for (const { group, version } of registry.groupVersions) {
    const document = documents.document(group, version);
    assert.ok(document !== undefined);
    assert.ok(document.text.length < 500_000, 'a document stays small');
    const parsed = JSON.parse(document.text);
    for (const [, name] of document.text.matchAll(/"#\/components\/schemas\/([^"]+)"/g)) {
      assert.ok(Object.hasOwn(parsed.components.schemas, name ?? ''), name);
    }
    for (const definition of registry.ofGroupVersion(group, version)) {
      const component = parsed.components.schemas[componentNameOf(definition)];
      assert.deepEqual(component['x-kubernetes-group-version-kind'], [
        { group, version, kind: definition.kind },
      ]);
    }
  }
  assert.equal(documents.document('none', 'v1'), undefined);
  assert.deepEqual(openApiDocumentsOf(registry, '0.1.0').index, documents.index);
});

test('write operations offer dry run and field validation, by which kubectl leaves checks to the server', () => {
  const documents = openApiDocumentsOf(registry, '0.1.0');
  const { paths } = JSON.parse(documents.document('apps', 'v1')!.text);
  const collection = paths['/apis/apps/v1/namespaces/{namespace}/deployments'];
  const object = paths['/apis/apps/v1/namespaces/{namespace}/deployments/{name}'];
  const cases = [
    [collection.post, 'post'],
    [object.put, 'put'],
    [object.patch, 'patch'],
  ];
  for (const [operation, action] of cases) {
    const names = operation.parameters.map((parameter: { name: string }) => parameter.name);
    assert.ok(names.includes('dryRun') && names.includes('fieldValidation'), action);
    assert.equal(operation['x-kubernetes-action'], action);
    assert.deepEqual(operation['x-kubernetes-group-version-kind'], {
      group: 'apps',
      version: 'v1',
      kind: 'Deployment',
    });
  }
});

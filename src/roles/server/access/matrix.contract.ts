/**
 * Who passes the door with what: every row of the route table tried by everybody,
 * with real requests to a real server. The page docs/reference/authorization.md is
 * made of it, and what is said of it in authorization.test.ts must hold.
 *
 * Invariant: whether the door was passed is told by the answer alone: 401 and 403
 * are its refusals, anything else came from behind it.
 */
import { type Identity, type Person, type TestServer, withServer } from '../harness.contract.ts';
import type { RouteRow } from '../route-table.ts';

export interface MatrixRow {
  readonly row: RouteRow;
  /** Names of those who pass, in the order of `matrixColumns`. */
  readonly passes: readonly string[];
}

/** What each column stands for is in `askersOf`. */
export const matrixColumns = [
  'system:masters',
  'system:controllers',
  'cluster-admin',
  'admin',
  'edit',
  'view',
  'selvage:viewers',
  'system:monitoring',
  'node',
  'service account',
  'authenticated',
  'nobody',
] as const;

type Column = (typeof matrixColumns)[number];

const boundInDefault = ['admin', 'edit', 'view'] as const;

const askersOf: Readonly<Record<Column, Identity | Person>> = {
  'system:masters': 'admin',
  'system:controllers': 'controller',
  'cluster-admin': { name: 'holder-of-cluster-admin', groups: [] },
  admin: { name: 'holder-of-admin', groups: [] },
  edit: { name: 'holder-of-edit', groups: [] },
  view: { name: 'holder-of-view', groups: [] },
  'selvage:viewers': 'viewer',
  'system:monitoring': { name: 'scraper', groups: ['system:monitoring'] },
  node: 'node-1',
  'service account': {
    name: 'system:serviceaccount:default:default',
    groups: ['system:serviceaccounts', 'system:serviceaccounts:default'],
  },
  authenticated: 'stranger',
  nobody: 'nobody',
};

const rbac = '/apis/rbac.authorization.k8s.io/v1';

export function authorizationMatrix(): Promise<readonly MatrixRow[]> {
  return new Promise((resolve, reject) => {
    withServer(async (server) => {
      await bindRoles(server);
      const matrix: MatrixRow[] = [];
      for (const row of server.server.rows) {
        const passes: Column[] = [];
        for (const column of matrixColumns) {
          if (await passesDoor(server, row, askersOf[column])) passes.push(column);
        }
        matrix.push({ row, passes });
      }
      resolve(matrix);
    }).catch(reject);
  });
}

async function bindRoles(server: TestServer): Promise<void> {
  const bind = async (path: string, kind: string, role: string): Promise<void> => {
    const body = {
      apiVersion: 'rbac.authorization.k8s.io/v1',
      kind,
      metadata: { name: `holder-of-${role}` },
      roleRef: { kind: 'ClusterRole', name: role },
      subjects: [{ kind: 'User', name: `holder-of-${role}` }],
    };
    const { status, text } = await server.call('POST', `${rbac}/${path}`, { body });
    if (status !== 201) throw new Error(text);
  };
  await bind('clusterrolebindings', 'ClusterRoleBinding', 'cluster-admin');
  for (const role of boundInDefault) {
    await bind('namespaces/default/rolebindings', 'RoleBinding', role);
  }
}

/** A target that matches the row, for an object that nobody made. */
export function targetOf(row: RouteRow): string {
  const path = row.pattern
    .replace('{namespace}', 'default')
    .replace('{name}', 'absent')
    .replace('{version}', 'v1')
    .replace('{group}', 'apps')
    .replace('{rest...}', '');
  // What is tried must leave what is tried after it as it is.
  if (row.method === 'DELETE' && row.subject.type === 'resource') return `${path}?dryRun=All`;
  return row.watch ? `${path}?watch=true` : path;
}

export async function passesDoor(
  server: TestServer,
  row: RouteRow,
  as: Identity | Person,
): Promise<boolean> {
  return (await refusalAtDoor(server, row, as)) === undefined;
}

/** The status with which the door refused it. */
export async function refusalAtDoor(
  server: TestServer,
  row: RouteRow,
  as: Identity | Person,
): Promise<number | undefined> {
  const target = targetOf(row);
  if (row.watch) {
    // The harness reads a refusal as one line; an allowed watch is closed again.
    const watch = await server.watch(target, { as });
    watch.close();
    return [401, 403].includes(watch.status) ? watch.status : undefined;
  }
  const body = ['POST', 'PUT', 'PATCH'].includes(row.method) ? { body: '{}' } : {};
  const { status, text } = await server.call(row.method, target, { as, ...body });
  // Joining has a door of its own: the token in the request.
  const isOfJoining = row.pattern.endsWith('/nodejoins') && text.includes('Bearer');
  return (status === 401 && !isOfJoining) || status === 403 ? status : undefined;
}

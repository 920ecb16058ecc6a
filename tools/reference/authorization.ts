/** docs/reference/authorization.md: who passes the door with what, tried on a real server. */
import {
  authorizationMatrix,
  matrixColumns,
  type MatrixRow,
} from '#roles/server/access/matrix.contract.ts';

export async function authorizationPage(): Promise<string> {
  const matrix = await authorizationMatrix();
  const lines = matrix.map(lineOf).toSorted();
  return [
    '# Who may what',
    '',
    'Every request is a row of the route table, and the door decides on that row. Below each',
    'row was tried on a real server by everybody; a dot is a refusal. A change of this page in',
    'a review is a change of who may what.',
    '',
    'How the door decides, in this order, and how to give people and programs access, is in',
    '[operations/access.md](../operations/access.md).',
    '',
    '| column | who |',
    '| --- | --- |',
    '| `system:masters` | administrators, by the organization in their certificate. No role limits them |',
    '| `system:controllers` | the controllers inside the server process. No certificate or token carries this group |',
    '| `cluster-admin` | holders of that ClusterRole by a ClusterRoleBinding |',
    '| `admin`, `edit`, `view` | holders of that ClusterRole by a RoleBinding in the namespace that is asked about |',
    '| `selvage:viewers` | those who may read everything but secrets, by the organization in their certificate |',
    '| `system:monitoring` | those who may read metrics, by the organization in their certificate |',
    '| `node` | a node, about an object that is not its own. Its own Node and its pods it may read |',
    '| `service account` | a ServiceAccount that nobody bound to a role |',
    '| `authenticated` | anybody whom the fleet knows |',
    '| `nobody` | a request without credentials |',
    '',
    `| request | verb | ${matrixColumns.map((name) => `\`${name}\``).join(' | ')} |`,
    `| --- | --- | ${matrixColumns.map(() => '---').join(' | ')} |`,
    ...lines,
    '',
  ].join('\n');
}

function lineOf({ row, passes }: MatrixRow): string {
  const { subject } = row;
  const verb =
    subject.type === 'path'
      ? `${subject.verb} (path)`
      : `${subject.verb} ${subject.resource}${subject.subresource === undefined ? '' : `/${subject.subresource}`}`;
  const cells = matrixColumns.map((column) => (passes.includes(column) ? 'yes' : '·'));
  const request = `\`${row.pattern}\` ${row.method}${row.watch ? ' watch' : ''}`;
  return `| ${request} | ${verb} | ${cells.join(' | ')} |`;
}

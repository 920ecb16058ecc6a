/** docs/reference/authorization.md: who passes the door with what, tried on a real server. */
import {
  authorizationMatrix,
  matrixColumns,
  type MatrixRow,
} from '#roles/server/access/matrix.contract.ts';

/** One letter for each column of the matrix, in its order. */
const letters = 'MCAaevRmnsk0';

export async function authorizationPage(): Promise<string> {
  const matrix = await authorizationMatrix();
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
    '- `M` system:masters: administrators, by the organization in their certificate. No role limits them.',
    '- `C` system:controllers: the controllers inside the server process. No certificate or token carries this group.',
    '- `A` holders of the ClusterRole cluster-admin by a ClusterRoleBinding.',
    '- `a`, `e`, `v` holders of admin, edit or view by a RoleBinding in the namespace that is asked about.',
    '- `R` selvage:viewers, who read everything but secrets, by the organization in their certificate.',
    '- `m` system:monitoring, who read metrics, by the organization in their certificate.',
    '- `n` a node, about an object that is not its own. Its own Node and its pods it may read.',
    '- `s` a ServiceAccount that nobody bound to a role.',
    '- `k` anybody whom the fleet knows.',
    '- `0` a request without credentials.',
    '',
    '```text',
    ...matrix.map(lineOf).toSorted(),
    '```',
    '',
  ].join('\n');
}

function lineOf({ row, passes }: MatrixRow): string {
  const { subject } = row;
  const verb =
    subject.type === 'path'
      ? subject.verb
      : `${subject.verb} ${subject.resource}${subject.subresource === undefined ? '' : `/${subject.subresource}`}`;
  const who = matrixColumns
    .map((column, position) => (passes.includes(column) ? letters.charAt(position) : '.'))
    .join('');
  return `${row.pattern} ${row.method}${row.watch ? ' watch' : ''} ${who} ${verb}`;
}

/**
 * The one table of what this server answers. A row says what a request means
 * (verb and resource, or a path outside the resources) and who handles it; the
 * authorization door reads the same rows, so nothing can be served without
 * having passed it.
 *
 * Patterns: `{name}` stands for one segment, `{rest...}` at the end for any number.
 */
import { assert } from '#base/mod.ts';
import type { ResourceDefinition, Subresource, Verb } from '#platform/api/mod.ts';
import type { User } from '#platform/identity/mod.ts';
import type { HttpRequest, HttpResponse } from '#platform/io/mod.ts';
import type { Acceptance } from './negotiation.ts';
import type { RequestNote } from './request-note.ts';

export type Method = 'GET' | 'HEAD' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';

/** What a request is about, in the terms that authorization decides on. */
export type RouteSubject =
  | {
      readonly type: 'resource';
      readonly verb: Verb;
      readonly group: string;
      readonly resource: string;
      readonly subresource: Subresource | undefined;
      readonly definition: ResourceDefinition | undefined;
    }
  | {
      readonly type: 'path';
      readonly verb: 'get' | 'post' | 'put' | 'patch' | 'delete';
      readonly area:
        | 'health'
        | 'version'
        | 'metrics'
        | 'discovery'
        | 'join'
        | 'registry'
        | 'issuer';
    };

export interface RequestContext {
  readonly request: HttpRequest;
  readonly row: RouteRow;
  /** Decoded values of the pattern's names. */
  readonly parameters: Readonly<Record<string, string>>;
  readonly query: URLSearchParams;
  /** Undefined for a request without credentials. */
  readonly user: User | undefined;
  readonly acceptance: Acceptance;
  /** Where a handler says what of the request is not in its address. */
  readonly note: RequestNote;
}

export type RouteHandler = (context: RequestContext) => Promise<HttpResponse>;

export interface RouteRow {
  readonly method: Method;
  readonly pattern: string;
  /** Two rows may share method and pattern where one is for `watch=true`. */
  readonly watch: boolean;
  readonly subject: RouteSubject;
  readonly handler: RouteHandler;
}

export interface RouteMatch {
  readonly row: RouteRow;
  readonly parameters: Readonly<Record<string, string>>;
}

interface Branch {
  readonly literals: Map<string, Branch>;
  /** Any one segment. What it is called is the row's matter: rows share branches. */
  parameter: Branch | undefined;
  /** Rows for all that follows. */
  readonly rest: RouteRow[];
  readonly rows: RouteRow[];
}

export interface RouteTable {
  readonly rows: readonly RouteRow[];
  /** From now on requests find these too. */
  add(rows: readonly RouteRow[]): void;
  /** Requests that are under way keep the row that they have found. */
  remove(rows: readonly RouteRow[]): void;
  /**
   * The row for a request; where the path is served but not with this method, the
   * methods that it takes; undefined where nothing has this path.
   */
  find(
    method: string,
    path: string,
    isWatch: boolean,
  ): RouteMatch | { readonly allowed: readonly Method[] } | undefined;
}

/** Throws a URIError from `find` where a segment is not percent-encoded UTF-8. */
export function createRouteTable(initial: readonly RouteRow[]): RouteTable {
  const root = newBranch();
  /** In the order in which they came. */
  const namesOf = new Map<RouteRow, readonly string[]>();
  function add(rows: readonly RouteRow[]): void {
    for (const row of rows) {
      insert(root, row);
      const names = [...row.pattern.matchAll(/\{(\w+)(?:\.\.\.)?\}/g)];
      namesOf.set(
        row,
        names.map((name) => name[1] ?? ''),
      );
    }
  }
  add(initial);
  return {
    get rows() {
      return [...namesOf.keys()];
    },
    add,
    remove(rows) {
      for (const row of rows) {
        if (namesOf.delete(row)) prune(root, row, row.pattern.slice(1).split('/'), 0);
      }
    },
    find(method, path, isWatch) {
      const values: string[] = [];
      const found = descend(root, path.slice(1).split('/'), 0, values);
      if (found === undefined) return undefined;
      const row = rowFor(found, method, isWatch);
      if (row !== undefined) return { row, parameters: named(namesOf.get(row) ?? [], values) };
      return { allowed: [...new Set(found.map((row) => row.method))] };
    },
  };
}

/** A row for watches answers only those; one that is not may answer both. */
function rowFor(
  found: readonly RouteRow[],
  method: string,
  isWatch: boolean,
): RouteRow | undefined {
  let plain: RouteRow | undefined;
  for (const row of found) {
    if (row.method !== method) continue;
    if (row.watch === isWatch) return row;
    if (!row.watch) plain ??= row;
  }
  return plain;
}

function named(names: readonly string[], values: readonly string[]): Record<string, string> {
  const parameters: Record<string, string> = {};
  assert(names.length === values.length, 'a match has a value for every name of its pattern');
  for (let position = 0; position < names.length; position += 1) {
    parameters[names[position] ?? ''] = values[position] ?? '';
  }
  return parameters;
}

function newBranch(): Branch {
  return { literals: new Map(), parameter: undefined, rest: [], rows: [] };
}

function insert(root: Branch, row: RouteRow): void {
  let branch = root;
  for (const segment of row.pattern.slice(1).split('/')) {
    if (segment.endsWith('...}')) {
      branch.rest.push(row);
      return;
    }
    if (segment.startsWith('{')) {
      branch.parameter ??= newBranch();
      branch = branch.parameter;
      continue;
    }
    let next = branch.literals.get(segment);
    if (next === undefined) {
      next = newBranch();
      branch.literals.set(segment, next);
    }
    branch = next;
  }
  branch.rows.push(row);
}

/** Takes the row out, and the branches that then lead nowhere. */
function prune(branch: Branch, row: RouteRow, segments: readonly string[], at: number): void {
  const segment = segments[at];
  if (segment === undefined || segment.endsWith('...}')) {
    const rows = segment === undefined ? branch.rows : branch.rest;
    const position = rows.indexOf(row);
    assert(position >= 0, 'a row is in the branch of its pattern');
    rows.splice(position, 1);
    return;
  }
  const isParameter = segment.startsWith('{');
  const next = isParameter ? branch.parameter : branch.literals.get(segment);
  assert(next !== undefined, 'a row has the branches of its pattern');
  prune(next, row, segments, at + 1);
  const isUsed =
    next.rows.length > 0 ||
    next.rest.length > 0 ||
    next.literals.size > 0 ||
    next.parameter !== undefined;
  if (isUsed) return;
  if (isParameter) branch.parameter = undefined;
  else branch.literals.delete(segment);
}

/** Literal segments win over parameters, those over the rest. Fills in `values`. */
function descend(
  branch: Branch,
  segments: readonly string[],
  at: number,
  values: string[],
): readonly RouteRow[] | undefined {
  const segment = segments[at];
  if (segment === undefined) return branch.rows.length > 0 ? branch.rows : undefined;
  const literal = branch.literals.get(segment);
  const depth = values.length;
  if (literal !== undefined) {
    const found = descend(literal, segments, at + 1, values);
    if (found !== undefined) return found;
    values.length = depth;
  }
  if (branch.parameter !== undefined && segment !== '') {
    values.push(segment.includes('%') ? decodeURIComponent(segment) : segment);
    const found = descend(branch.parameter, segments, at + 1, values);
    if (found !== undefined) return found;
    values.length = depth;
  }
  if (branch.rest.length === 0) return undefined;
  // Kept as sent: whoever takes the rest decodes it in its own terms.
  values.push(segments.slice(at).join('/'));
  return branch.rest;
}

import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { test } from 'node:test';
import { importTable, packageTable } from './import-table.ts';
import { importsOf, projectRoot, sourceFiles, type SourceFile } from './source-files.ts';

const linesMax = 600;
const source = sourceFiles(['src'], ['.ts']);
const everything = sourceFiles(
  ['src', 'tools', 'test', 'bench', 'examples'],
  ['.ts', '.mjs', '.js', '.sh'],
);

const rooms = Object.keys(importTable).sort((left, right) => right.length - left.length);

/** The room of a path below `src`: the longest key of the table that it lies in. */
function roomOf(path: string): string | undefined {
  const inside = path.replace(/^src\//, '');
  return rooms.find((room) => inside.startsWith(`${room}/`));
}

function isTest(file: SourceFile): boolean {
  return /\.(test|contract)\.ts$/.test(file.path) || file.path.includes('/test-helpers/');
}

interface Edge {
  readonly file: string;
  readonly from: string;
  readonly to: string;
}

function collectEdges(): { edges: Edge[]; packages: Edge[]; wrong: string[] } {
  const edges: Edge[] = [];
  const packages: Edge[] = [];
  const wrong: string[] = [];
  for (const file of source) {
    if (file.path.startsWith('src/types/')) continue;
    const from = roomOf(file.path);
    if (from === undefined) {
      wrong.push(`${file.path}: lies in no room of tools/tidy/import-table.ts`);
      continue;
    }
    for (const name of importsOf(file)) {
      if (name.endsWith('/package.json')) {
        packages.push({ file: file.path, from, to: 'package.json' });
      } else if (name.startsWith('#') || name.startsWith('.')) {
        const target = name.startsWith('#')
          ? `src/${name.slice(1)}`
          : normalize(join(dirname(file.path), name));
        const to = roomOf(target);
        if (to === undefined) wrong.push(`${file.path}: ${name} is in no room`);
        else if (to !== from) {
          if (!isTest(file)) edges.push({ file: file.path, from, to });
          // A room inside another is part of that house: it uses its files directly.
          const isInside = from.startsWith(`${to}/`);
          if (!isTest(file) && !isInside && target !== `src/${to}/mod.ts`) {
            wrong.push(`${file.path}: ${name} goes past the door, use #${to}/mod.ts`);
          }
        }
      } else if (!isTest(file)) {
        packages.push({ file: file.path, from, to: name });
      }
    }
  }
  return { edges, packages, wrong };
}

test('every import between rooms goes through a door and has a row in the import table', () => {
  const { edges, wrong } = collectEdges();
  for (const edge of edges) {
    if (!(importTable[edge.from] ?? []).includes(edge.to)) {
      wrong.push(`${edge.file}: ${edge.from} may not import ${edge.to}`);
    }
  }
  assert.deepEqual(wrong, []);
});

test('no row of the import table is stale', () => {
  const { edges, packages } = collectEdges();
  const stale: string[] = [];
  for (const [from, targets] of Object.entries(importTable)) {
    if (!existsSync(join(projectRoot, 'src', from))) stale.push(`room ${from} does not exist`);
    for (const to of targets) {
      if (!edges.some((edge) => edge.from === from && edge.to === to)) {
        stale.push(`${from} -> ${to}`);
      }
    }
  }
  for (const [from, names] of Object.entries(packageTable)) {
    for (const name of names) {
      if (!packages.some((edge) => edge.from === from && edge.to === name)) {
        stale.push(`${from} -> package ${name}`);
      }
    }
  }
  assert.deepEqual(stale, []);
});

test('packages and built-in modules are imported only where the package table says so', () => {
  const { packages } = collectEdges();
  const wrong = packages
    .filter((edge) => !(packageTable[edge.from] ?? []).includes(edge.to))
    .map((edge) => `${edge.file}: ${edge.from} may not import ${edge.to}`);
  assert.deepEqual(wrong, []);
});

test('roles never import each other, and neither do engines', () => {
  const wrong = collectEdges()
    .edges.filter(
      (edge) =>
        (edge.from.startsWith('roles/') && edge.to.startsWith('roles/')) ||
        (edge.from.startsWith('engines/') && edge.to.startsWith('engines/')),
    )
    .map((edge) => edge.file);
  assert.deepEqual(wrong, []);
});

test(`no file is longer than ${linesMax} lines`, () => {
  const long = everything
    .map((file) => ({ path: file.path, lines: file.text.split('\n').length - 1 }))
    .filter((file) => file.lines > linesMax);
  assert.deepEqual(long, []);
});

test('a source file opens with what it is for', () => {
  const silent = source
    .filter((file) => !isTest(file) && !file.path.endsWith('/mod.ts'))
    .filter((file) => !/^(?:#!.*\n)?\s*\/[*/]/.test(file.text))
    .map((file) => file.path);
  assert.deepEqual(silent, []);
});

test('file names are kebab-case', () => {
  const odd = everything.map((file) => file.path).filter((path) => !/^[a-z0-9/.-]+$/.test(path));
  assert.deepEqual(odd, []);
});

test('no test is skipped for ever or left alone to run', () => {
  const odd = everything
    .filter((file) => file.path.endsWith('.test.ts') && !file.path.startsWith('tools/tidy/'))
    .filter((file) =>
      /\b(?:test|it|describe)\.(?:only|todo|skip)\b|\{\s*(?:only|todo): true/.test(file.text),
    )
    .map((file) => file.path);
  assert.deepEqual(odd, []);
});

test('the architecture document has the import table as it is', () => {
  const text = readFileSync(join(projectRoot, 'ARCHITECTURE.md'), 'utf8');
  const missing = Object.entries(importTable)
    .map(([room, targets]) => `${room}: ${targets.length === 0 ? '(nothing)' : targets.join(', ')}`)
    .filter((row) => !text.includes(`\n${row}\n`));
  assert.deepEqual(missing, []);
});

test('links between the documents lead somewhere', () => {
  const documents = ['README.md', 'ARCHITECTURE.md', 'STYLE.md', 'CHANGELOG.md'].concat(
    readdirSync(join(projectRoot, 'docs'), { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.md'))
      .map((name) => join('docs', name)),
  );
  const broken: string[] = [];
  for (const document of documents) {
    const text = readFileSync(join(projectRoot, document), 'utf8');
    for (const match of text.matchAll(/\]\((?!https?:|#)([^)#\s]+)(?:#[^)]*)?\)/g)) {
      const target = join(projectRoot, dirname(document), match[1] ?? '');
      if (!existsSync(target)) broken.push(`${document}: ${match[1]}`);
    }
  }
  assert.deepEqual(broken, []);
  assert.ok(statSync(join(projectRoot, 'LICENSE')).size > 0);
});

test('decisions are numbered, each with a number of its own', () => {
  const names = readdirSync(join(projectRoot, 'docs/adr')).toSorted();
  const numbers = names.map((name) => {
    const [, title = ''] =
      /^# (\d+)\./.exec(readFileSync(join(projectRoot, 'docs/adr', name), 'utf8')) ?? [];
    return `${name.slice(0, 4)} ${title.padStart(4, '0')}`;
  });
  assert.deepEqual(
    numbers,
    names.map((_, index) => {
      const number = String(index + 1).padStart(4, '0');
      return `${number} ${number}`;
    }),
  );
});

test('a document that shows commands is run by a test', () => {
  const tests = sourceFiles(['test/e2e'], ['.test.ts']).map((file) => file.text);
  const documents = ['README.md'].concat(
    ['docs/guides', 'docs/operations', 'docs/reference'].flatMap((folder) =>
      readdirSync(join(projectRoot, folder))
        .filter((name) => name.endsWith('.md'))
        .map((name) => `${folder}/${name}`),
    ),
  );
  const untried = documents.filter((path) => {
    const text = readFileSync(join(projectRoot, path), 'utf8');
    // Also such that hide as indented text.
    if (!/^```(?:sh|console)|^ {4}(?:\.\/selvage|selvage|kubectl) /m.test(text)) return false;
    return !tests.some((file) => file.includes(path));
  });
  assert.deepEqual(untried, []);
});

/**
 * `image.json`, which stands beside a bundle's source and says what image it
 * makes:
 *
 *   { "name": "edge-service-image:latest", "entrypoint": ["server.mjs"],
 *     "include": ["src/server.mjs"], "root": "src", "env": {}, "labels": {} }
 *
 * `include` lists files, or folders with all they hold, relative to image.json.
 * Paths in the image are relative to `root` (default: the folder of image.json).
 */
import { isJsonObject } from '#base/mod.ts';
import { ImageLayoutError } from './errors.ts';
import { pathFault } from './paths.ts';

export interface ImageFile {
  /** `name` or `name:tag`. */
  readonly name: string;
  readonly entrypoint: readonly string[];
  readonly include: readonly string[];
  /** `.` for the folder itself. */
  readonly root: string;
  readonly env: Readonly<Record<string, string>>;
  readonly labels: Readonly<Record<string, string>>;
}

const fieldsKnown = ['name', 'entrypoint', 'include', 'root', 'env', 'labels'];
const listMax = 1000;
const textLengthMax = 4096;
const namePattern =
  /^[a-z0-9]+([._-]+[a-z0-9]+)*(\/[a-z0-9]+([._-]+[a-z0-9]+)*)*(:[A-Za-z0-9_][A-Za-z0-9._-]{0,127})?$/;

/** `json` is the parsed file. Throws IMAGE_FILE_INVALID, naming the field and the mend. */
export function parseImageFile(json: unknown): ImageFile {
  if (!isJsonObject(json)) throw invalid('it must be a JSON object');
  for (const field of Object.keys(json)) {
    if (!fieldsKnown.includes(field)) {
      throw invalid(`unknown field "${field}"; known are ${fieldsKnown.join(', ')}`);
    }
  }
  const name = json['name'];
  if (typeof name !== 'string' || name.length > 255 || !namePattern.test(name)) {
    throw invalid('name must be an image name such as "team/app:latest", in lower case');
  }
  const entrypoint = textList(json['entrypoint'], 'entrypoint');
  checkPath(entrypoint[0] ?? '', 'entrypoint[0]');
  const include = textList(json['include'], 'include');
  include.forEach((path, index) => checkPath(path, `include[${index}]`));
  const root = json['root'] ?? '.';
  if (typeof root !== 'string') throw invalid('root must be a path');
  if (root !== '.') checkPath(root, 'root');
  return {
    name,
    entrypoint,
    include,
    root,
    env: textMap(json['env'], 'env', /^[A-Za-z_][A-Za-z0-9_]*$/),
    labels: textMap(json['labels'], 'labels', /^[a-z0-9][a-z0-9._/-]*$/),
  };
}

function textList(value: unknown, field: string): readonly string[] {
  if (!Array.isArray(value) || value.length === 0 || value.length > listMax) {
    throw invalid(`${field} must be a list of 1 to ${listMax} strings`);
  }
  return value.map((item: unknown, index) => text(item, `${field}[${index}]`));
}

function textMap(value: unknown, field: string, names: RegExp): Readonly<Record<string, string>> {
  if (value === undefined) return {};
  if (!isJsonObject(value)) throw invalid(`${field} must be an object of strings`);
  const entries = Object.entries(value);
  if (entries.length > listMax) throw invalid(`${field} may have at most ${listMax} entries`);
  return Object.fromEntries(
    entries.map(([name, item]) => {
      if (!names.test(name)) throw invalid(`${field}: ${JSON.stringify(name)} is no valid name`);
      return [name, text(item, `${field}.${name}`)];
    }),
  );
}

function text(value: unknown, field: string): string {
  if (typeof value !== 'string' || value.length > textLengthMax || value.includes('\0')) {
    throw invalid(`${field} must be a string of at most ${textLengthMax} characters`);
  }
  return value;
}

function checkPath(path: string, field: string): void {
  const fault = pathFault(path);
  if (fault !== undefined) throw invalid(`${field}: path ${JSON.stringify(path)} ${fault}`);
}

function invalid(message: string): ImageLayoutError {
  return new ImageLayoutError('IMAGE_FILE_INVALID', `image.json: ${message}`);
}

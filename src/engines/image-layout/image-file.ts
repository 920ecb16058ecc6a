/**
 * `image.json`, which stands beside a bundle's source and says what image it
 * makes:
 *
 *   { "name": "edge-service-image:latest", "entrypoint": ["server.mjs"],
 *     "include": ["src/server.mjs"], "root": "src", "env": {}, "labels": {} }
 *
 * With "wasm": { "entrypoint": ["service.wasm"], "include": [...], "root": "wasm" } the
 * same image also has a WebAssembly module, for nodes that run such.
 *
 * `include` lists files, or folders with all they hold, relative to image.json.
 * Paths in the image are relative to `root` (default: the folder of image.json).
 */
import { isJsonObject, type JsonObject } from '#base/mod.ts';
import { ImageLayoutError } from './errors.ts';
import { pathFault } from './paths.ts';

/** Which files make a bundle, and which of them is started. */
export interface BundleFiles {
  readonly entrypoint: readonly string[];
  readonly include: readonly string[];
  /** `.` for the folder itself. */
  readonly root: string;
}

export interface ImageFile extends BundleFiles {
  /** `name` or `name:tag`. */
  readonly name: string;
  /** The same program as a WebAssembly module. */
  readonly wasm?: BundleFiles;
  readonly env: Readonly<Record<string, string>>;
  readonly labels: Readonly<Record<string, string>>;
}

const fieldsKnown = ['name', 'entrypoint', 'include', 'root', 'wasm', 'env', 'labels'];
const bundleFieldsKnown = ['entrypoint', 'include', 'root'];
const listMax = 1000;
const textLengthMax = 4096;
const namePattern =
  /^[a-z0-9]+([._-]+[a-z0-9]+)*(\/[a-z0-9]+([._-]+[a-z0-9]+)*)*(:[A-Za-z0-9_][A-Za-z0-9._-]{0,127})?$/;

/** `json` is the parsed file. Throws IMAGE_FILE_INVALID, naming the field and the mend. */
export function parseImageFile(json: unknown): ImageFile {
  if (!isJsonObject(json)) throw invalid('it must be a JSON object');
  checkFields(json, fieldsKnown, '');
  const name = json['name'];
  if (typeof name !== 'string' || name.length > 255 || !namePattern.test(name)) {
    throw invalid('name must be an image name such as "team/app:latest", in lower case');
  }
  const { wasm } = json;
  return {
    name,
    ...bundleFiles(json, ''),
    ...(wasm === undefined ? {} : { wasm: bundleFiles(wasm, 'wasm.') }),
    env: textMap(json['env'], 'env', /^[A-Za-z_][A-Za-z0-9_]*$/),
    labels: textMap(json['labels'], 'labels', /^[a-z0-9][a-z0-9._/-]*$/),
  };
}

function bundleFiles(value: unknown, at: string): BundleFiles {
  if (!isJsonObject(value)) throw invalid(`${at.slice(0, -1)} must be a JSON object`);
  if (at !== '') checkFields(value, bundleFieldsKnown, at);
  const entrypoint = textList(value['entrypoint'], `${at}entrypoint`);
  checkPath(entrypoint[0] ?? '', `${at}entrypoint[0]`);
  const include = textList(value['include'], `${at}include`);
  include.forEach((path, index) => checkPath(path, `${at}include[${index}]`));
  const root = value['root'] ?? '.';
  if (typeof root !== 'string') throw invalid(`${at}root must be a path`);
  if (root !== '.') checkPath(root, `${at}root`);
  return { entrypoint, include, root };
}

function checkFields(value: JsonObject, known: readonly string[], at: string): void {
  const unknown = Object.keys(value).find((field) => !known.includes(field));
  if (unknown === undefined) return;
  throw invalid(`unknown field "${at}${unknown}"; known are ${known.join(', ')}`);
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

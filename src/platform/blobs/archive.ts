/**
 * An archive: many files as one stream, each with its digest and all of them with
 * one at the end, so that what is cut short, changed or put together from two is
 * refused. Read and written as it passes, never whole in memory.
 *
 * Layout: eight bytes of magic; then for each file four bytes of length, a JSON
 * header {path, sizeBytes}, the content and the sha256 of header and content; at the
 * end a header {isEnd, fileCount, contentBytes} and the sha256 of it and of all
 * digests before it. Integers are big-endian.
 */
import { createHash } from 'node:crypto';
import { concatBytes, equalBytes, isJsonObject, strictTextOf, utf8 } from '#base/mod.ts';
import { ArchiveError } from './errors.ts';

const magic = utf8('SELVBAK1');
const digestBytes = 32;
const headerBytesMax = 4096;
const filesMax = 1_000_000;
const pathLengthMax = 512;

export interface ArchivedFile {
  /** Relative, `/`-separated. */
  readonly path: string;
  readonly sizeBytes: number;
}

export interface ArchiveSummary {
  readonly fileCount: number;
  readonly contentBytes: number;
}

/** What is done with the files of an archive as it is read. */
export interface ArchiveReader {
  begin(file: ArchivedFile): Promise<void>;
  content(bytes: Uint8Array): Promise<void>;
  /** The digest of the file was right. */
  end(): Promise<void>;
}

/** Throws where a file does not give as many bytes as it said. */
export async function* writeArchive(
  files: AsyncIterable<ArchivedFile & { read(): AsyncIterable<Uint8Array> }>,
): AsyncGenerator<Uint8Array> {
  const all = createHash('sha256');
  let fileCount = 0;
  let contentBytes = 0;
  yield magic;
  for await (const file of files) {
    const { path, sizeBytes } = file;
    if (!isGoodPath(path))
      throw new ArchiveError('ARCHIVE_FILE_CHANGED', `no path of a file: ${path}`);
    const digest = createHash('sha256');
    const header = headerOf({ path, sizeBytes });
    digest.update(header);
    yield header;
    let givenBytes = 0;
    for await (const bytes of file.read()) {
      digest.update(bytes);
      givenBytes += bytes.length;
      yield bytes;
    }
    if (givenBytes !== sizeBytes) {
      throw new ArchiveError(
        'ARCHIVE_FILE_CHANGED',
        `${path} has ${givenBytes} bytes, not ${sizeBytes}`,
      );
    }
    fileCount += 1;
    contentBytes += sizeBytes;
    const result = digest.digest();
    all.update(result);
    yield result;
  }
  const end = headerOf({ isEnd: true, fileCount, contentBytes });
  yield end;
  yield all.update(end).digest();
}

/** Reads to the end and verifies all of it. Throws ArchiveError ARCHIVE_… with what is wrong. */
export async function readArchive(
  source: AsyncIterable<Uint8Array>,
  reader: ArchiveReader,
): Promise<ArchiveSummary> {
  const input = new Input(source);
  if (!equalBytes(await input.exactly(magic.length), magic)) {
    throw damaged('it is no backup of a server');
  }
  const all = createHash('sha256');
  const seen = new Set<string>();
  let contentBytes = 0;
  for (;;) {
    const length = await input.exactly(4);
    const lengthBytes = new DataView(length.buffer, length.byteOffset).getUint32(0);
    if (lengthBytes > headerBytesMax) throw damaged('a header is too long');
    const text = await input.exactly(lengthBytes);
    const header = parseHeader(text);
    if ('isEnd' in header) {
      const expected = all.update(concatBytes([length, text])).digest();
      if (!equalBytes(await input.exactly(digestBytes), expected))
        throw damaged('its files differ');
      const isWhole = header.fileCount === seen.size && header.contentBytes === contentBytes;
      if (!isWhole || !(await input.isAtEnd())) throw damaged('its end does not fit its files');
      return { fileCount: header.fileCount, contentBytes };
    }
    if (seen.has(header.path) || seen.size >= filesMax) throw damaged('a file is there twice');
    seen.add(header.path);
    const digest = createHash('sha256').update(concatBytes([length, text]));
    await reader.begin(header);
    for (let left = header.sizeBytes; left > 0;) {
      const bytes = await input.some(left);
      digest.update(bytes);
      left -= bytes.length;
      await reader.content(bytes);
    }
    const result = digest.digest();
    if (!equalBytes(await input.exactly(digestBytes), result)) {
      throw damaged(`${header.path} is not what was written`);
    }
    all.update(result);
    contentBytes += header.sizeBytes;
    await reader.end();
  }
}

class Input {
  readonly #iterator: AsyncIterator<Uint8Array>;
  #rest: Uint8Array = new Uint8Array(0);

  constructor(source: AsyncIterable<Uint8Array>) {
    this.#iterator = source[Symbol.asyncIterator]();
  }

  /** At least one byte and at most so many. */
  async some(countMax: number): Promise<Uint8Array> {
    if (await this.isAtEnd()) throw damaged('it ends early');
    const bytes = this.#rest.subarray(0, countMax);
    this.#rest = this.#rest.subarray(bytes.length);
    return bytes;
  }

  async exactly(count: number): Promise<Uint8Array> {
    const parts: Uint8Array[] = [];
    for (let left = count; left > 0;) {
      const part = await this.some(left);
      left -= part.length;
      parts.push(part);
    }
    return concatBytes(parts);
  }

  async isAtEnd(): Promise<boolean> {
    while (this.#rest.length === 0) {
      const next = await this.#iterator.next();
      if (next.done === true) return true;
      this.#rest = next.value;
    }
    return false;
  }
}

function headerOf(header: object): Uint8Array {
  const text = utf8(JSON.stringify(header));
  const length = new Uint8Array(4);
  new DataView(length.buffer).setUint32(0, text.length);
  return concatBytes([length, text]);
}

function parseHeader(
  bytes: Uint8Array,
): ArchivedFile | ({ readonly isEnd: true } & ArchiveSummary) {
  let header: unknown;
  try {
    header = JSON.parse(strictTextOf(bytes));
  } catch {
    throw damaged('a header cannot be read');
  }
  if (!isJsonObject(header)) throw damaged('a header cannot be read');
  const { path, sizeBytes, isEnd, fileCount, contentBytes } = header;
  if (isEnd === true && isCount(fileCount) && isCount(contentBytes)) {
    return { isEnd, fileCount, contentBytes };
  }
  if (typeof path === 'string' && isGoodPath(path) && isCount(sizeBytes))
    return { path, sizeBytes };
  throw damaged('a header cannot be read');
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}

/** Never one that leaves the folder it is put in. */
function isGoodPath(path: string): boolean {
  return (
    path.length <= pathLengthMax &&
    path.split('/').every((name) => /^[A-Za-z0-9_][A-Za-z0-9._:-]*$/.test(name))
  );
}

function damaged(what: string): ArchiveError {
  return new ArchiveError('ARCHIVE_DAMAGED', `the backup cannot be used: ${what}`);
}

// What the pure rooms may use of the host beyond the language itself: functions
// whose result depends on their arguments alone. Anything missing here (timers,
// files, sockets, randomness) comes in through the ports of src/platform/io.

declare class TextEncoder {
  encode(text?: string): Uint8Array<ArrayBuffer>;
  encodeInto(text: string, into: Uint8Array): { read: number; written: number };
}

declare class TextDecoder {
  constructor(encoding?: 'utf-8' | 'latin1', options?: { fatal?: boolean; ignoreBOM?: boolean });
  decode(bytes?: Uint8Array, options?: { stream?: boolean }): string;
}

declare function structuredClone<T>(value: T): T;

declare class URLSearchParams {
  constructor(init?: string | Record<string, string>);
  get(name: string): string | null;
  getAll(name: string): string[];
  has(name: string): boolean;
  append(name: string, value: string): void;
  set(name: string, value: string): void;
  keys(): IterableIterator<string>;
  entries(): IterableIterator<[string, string]>;
  [Symbol.iterator](): IterableIterator<[string, string]>;
  toString(): string;
}

declare class URL {
  constructor(text: string);
  static canParse(text: string): boolean;
  readonly href: string;
  readonly protocol: string;
  readonly host: string;
  readonly hostname: string;
  readonly port: string;
  readonly pathname: string;
}

declare module 'node:crypto' {
  export interface Hash {
    update(data: Uint8Array | string): Hash;
    digest(): Uint8Array;
    digest(encoding: 'hex' | 'base64' | 'base64url'): string;
    copy(): Hash;
  }
  export function createHash(algorithm: 'sha256'): Hash;
  /** SHA-1 only where a protocol asks for it. */
  export function hash(
    algorithm: 'sha256' | 'sha1',
    data: Uint8Array | string,
    encoding: 'hex' | 'base64' | 'base64url',
  ): string;
  export function hash(
    algorithm: 'sha256',
    data: Uint8Array | string,
    encoding: 'buffer',
  ): Uint8Array;
  export function timingSafeEqual(left: Uint8Array, right: Uint8Array): boolean;
}

declare module 'node:zlib' {
  export function crc32(data: Uint8Array | string, value?: number): number;
  export function gzipSync(data: Uint8Array, options?: { level?: number }): Uint8Array;
  /** `finishFlush` 2 (Z_SYNC_FLUSH): the input may end in the middle of a stream. */
  export function inflateRawSync(
    data: Uint8Array,
    options?: { dictionary?: Uint8Array; finishFlush?: number; maxOutputLength?: number },
  ): Uint8Array;
  export function gunzipSync(data: Uint8Array, options?: { maxOutputLength?: number }): Uint8Array;
}

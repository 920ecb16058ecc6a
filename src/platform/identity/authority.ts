/**
 * The fleet's own certificate authority: one key pair on disk that signs the
 * certificates of servers, users and nodes.
 *
 * Invariants:
 * 1. The authority is on disk, whole, before anything is signed with it; the key and
 *    its certificate are one file, so that no crash leaves one without the other.
 * 2. Nothing outlives the authority. Serial numbers have 128 bits, 64 or more of them random.
 * 3. Only issueNode makes the identity of a node, and the serial number of its
 *    certificate begins with the id of its key: who refuses a key by that id refuses
 *    all its certificates, also one that is being signed at the same moment.
 */
import { assert, bytesOfHex, hexOf, isJsonObject, strictTextOf, utf8 } from '#base/mod.ts';
import type {
  CertificateProfile,
  CertificateSubject,
  Clock,
  Credentials,
  Disk,
  Keys,
  Random,
} from '#platform/io/mod.ts';
import { IdentityError } from './errors.ts';
import { keyIdBytes, keyIdOf, publicKeyHashOf } from './key-id.ts';
import { nodeDnsNames, nodesGroup, nodeSubject, nodeUserPrefix } from './user.ts';

/** Of users and groups that are parts of the system. */
const reservedPrefix = 'system:';
const dayMs = 86_400_000;
const authorityLifetimeMs = 3_652 * dayMs;
const serverLifetimeMs = 365 * dayMs;
const clientLifetimeMs = 365 * dayMs;
/** How long a node's certificate lives where nothing else was asked for. */
export const nodeCertificateLifeMsDefault = dayMs;
/** Certificates begin that much earlier, for peers whose clock is behind. */
export const clockSkewMs = 300_000;
const serialBytes = 16;
const fileMaxBytes = 65_536;
const fileName = 'authority.json';
const fileFormat = 1;

export interface AuthorityDependencies {
  /** The authority's own folder. */
  readonly disk: Disk;
  readonly keys: Keys;
  readonly clock: Clock;
  readonly random: Random;
}

export interface AuthorityOptions {
  /** Of the authority, where it is made now. */
  readonly commonName?: string;
}

export interface CertificateAuthority {
  /** The certificate that everybody trusts. */
  readonly caPem: string;
  /** A new pair and certificate for a listening server. Default lifetime: 365 days. */
  issueServer(options: {
    readonly dnsNames: readonly string[];
    readonly ipAddresses: readonly string[];
    readonly lifetimeMs?: number;
  }): Promise<Credentials>;
  /** A new pair and certificate for a user or an in-process client. Default lifetime: 365 days. */
  issueClient(options: {
    readonly commonName: string;
    readonly organizations: readonly string[];
    readonly lifetimeMs?: number;
  }): Promise<Credentials>;
  /**
   * A certificate for a user's own request: its key, its common name and organizations.
   * Names of the system's own parts (`system:…`) are given to nobody. Default lifetime:
   * 365 days. Throws IdentityError IDENTITY_NAME_RESERVED, SelvageError KEYS_BAD_REQUEST.
   */
  issueUser(
    certificateRequestPem: string,
    options?: { readonly lifetimeMs?: number },
  ): Promise<string>;
  /**
   * A certificate for the key of a node's request, as `system:node:<name>` with the
   * SPIFFE id spiffe://selvage/node/<name>. Whatever else the request says is ignored.
   * Default lifetime: 24 hours. Throws SelvageError KEYS_BAD_REQUEST.
   */
  issueNode(
    certificateRequestPem: string,
    nodeName: string,
    options?: { readonly lifetimeMs?: number },
  ): Promise<string>;
}

interface AuthorityFile {
  readonly certificatePem: string;
  readonly privateKeyPem: string;
}

/** The SPIFFE id of a node. */
export function nodeUri(nodeName: string): string {
  return `spiffe://selvage/node/${nodeName}`;
}

const wholeSeconds = (timeMs: number): number => Math.floor(timeMs / 1000) * 1000;

function serialNumber(random: Random): string {
  const bytes = random.bytes(serialBytes);
  assert(bytes.length === serialBytes, 'as many random bytes as asked for');
  // Positive and of full length: the highest bit clear, the next one set.
  bytes[0] = ((bytes[0] ?? 0) & 0x7f) | 0x40;
  return hexOf(bytes);
}

/** The id of the key, then random bytes. */
function nodeSerialNumber(random: Random, publicKeyPem: string): string {
  const bytes = bytesOfHex(serialNumber(random));
  bytes.set(bytesOfHex(keyIdOf(publicKeyHashOf(publicKeyPem))), 0);
  assert(bytes.length === serialBytes && keyIdBytes < serialBytes, 'a part stays random');
  return hexOf(bytes);
}

function parseFile(bytes: Uint8Array): AuthorityFile {
  let parsed: unknown;
  try {
    parsed = JSON.parse(strictTextOf(bytes));
  } catch (cause) {
    throw new IdentityError('IDENTITY_AUTHORITY_BROKEN', `${fileName} is not JSON`, { cause });
  }
  if (isJsonObject(parsed) && parsed['format'] === fileFormat) {
    const { certificatePem, privateKeyPem } = parsed;
    if (typeof certificatePem === 'string' && typeof privateKeyPem === 'string') {
      return { certificatePem, privateKeyPem };
    }
  }
  throw new IdentityError(
    'IDENTITY_AUTHORITY_BROKEN',
    `${fileName} is not an authority of format ${fileFormat}; restore it from a backup`,
  );
}

async function createFile(
  { disk, keys, clock, random }: AuthorityDependencies,
  options: AuthorityOptions,
): Promise<AuthorityFile> {
  await disk.makeDirectory('');
  const pair = await keys.createKeyPair();
  const nowMs = wholeSeconds(clock.wallMs());
  const certificatePem = await keys.issueAuthority(
    {
      subject: { commonName: options.commonName ?? 'Selvage fleet authority', organizations: [] },
      dnsNames: [],
      ipAddresses: [],
      uris: [],
      serialNumber: serialNumber(random),
      notBeforeMs: nowMs - clockSkewMs,
      notAfterMs: nowMs + authorityLifetimeMs,
      usage: 'authority',
    },
    pair,
  );
  const file = { certificatePem, privateKeyPem: pair.privateKeyPem };
  const text = `${JSON.stringify({ format: fileFormat, ...file }, undefined, 2)}\n`;
  await disk.writeFileAtomic(fileName, utf8(text), 0o600);
  return file;
}

class Authority implements CertificateAuthority {
  readonly caPem: string;
  readonly #issuer: AuthorityFile;
  readonly #dependencies: AuthorityDependencies;
  readonly #notAfterMs: number;

  constructor(dependencies: AuthorityDependencies, file: AuthorityFile) {
    this.#dependencies = dependencies;
    this.#issuer = file;
    this.caPem = file.certificatePem;
    this.#notAfterMs = dependencies.keys.readCertificate(file.certificatePem).notAfterMs;
  }

  async issueServer(options: {
    readonly dnsNames: readonly string[];
    readonly ipAddresses: readonly string[];
    readonly lifetimeMs?: number;
  }): Promise<Credentials> {
    const { dnsNames, ipAddresses } = options;
    const commonName = dnsNames[0] ?? ipAddresses[0];
    assert(commonName !== undefined, 'a server has at least one name or address');
    return this.#issuePair(options.lifetimeMs ?? serverLifetimeMs, {
      subject: { commonName, organizations: [] },
      dnsNames,
      ipAddresses,
      usage: 'server',
    });
  }

  async issueClient(options: {
    readonly commonName: string;
    readonly organizations: readonly string[];
    readonly lifetimeMs?: number;
  }): Promise<Credentials> {
    const { commonName, organizations } = options;
    assert(commonName !== '', 'a user has a name');
    assert(!commonName.startsWith(nodeUserPrefix), 'only issueNode names a node');
    assert(!organizations.includes(nodesGroup), 'only issueNode makes a node');
    const subject: CertificateSubject = { commonName, organizations };
    return this.#issuePair(options.lifetimeMs ?? clientLifetimeMs, { subject, usage: 'client' });
  }

  async issueUser(
    certificateRequestPem: string,
    options: { readonly lifetimeMs?: number } = {},
  ): Promise<string> {
    const { keys } = this.#dependencies;
    const { subject, publicKeyPem } = await keys.readRequest(certificateRequestPem, 'any');
    const reserved = [subject.commonName, ...subject.organizations].find((name) =>
      name.startsWith(reservedPrefix),
    );
    if (reserved !== undefined) {
      throw new IdentityError(
        'IDENTITY_NAME_RESERVED',
        `the request is for ${JSON.stringify(reserved)}: names that begin with ${reservedPrefix} belong to the system`,
      );
    }
    return this.#issue(publicKeyPem, options.lifetimeMs ?? clientLifetimeMs, {
      subject,
      usage: 'client',
    });
  }

  async issueNode(
    certificateRequestPem: string,
    nodeName: string,
    options: { readonly lifetimeMs?: number } = {},
  ): Promise<string> {
    assert(nodeName !== '', 'a node has a name');
    const request = await this.#dependencies.keys.readRequest(certificateRequestPem);
    const serial = nodeSerialNumber(this.#dependencies.random, request.publicKeyPem);
    return this.#issue(request.publicKeyPem, options.lifetimeMs ?? nodeCertificateLifeMsDefault, {
      subject: nodeSubject(nodeName),
      uris: [nodeUri(nodeName)],
      dnsNames: nodeDnsNames(nodeName),
      usage: 'server-and-client',
      serialNumber: serial,
    });
  }

  async #issuePair(
    lifetimeMs: number,
    profile: Partial<CertificateProfile> & Pick<CertificateProfile, 'subject' | 'usage'>,
  ): Promise<Credentials> {
    const pair = await this.#dependencies.keys.createKeyPair();
    const certificatePem = await this.#issue(pair.publicKeyPem, lifetimeMs, profile);
    return { certificatePem, privateKeyPem: pair.privateKeyPem };
  }

  async #issue(
    publicKeyPem: string,
    lifetimeMs: number,
    profile: Partial<CertificateProfile> & Pick<CertificateProfile, 'subject' | 'usage'>,
  ): Promise<string> {
    assert(lifetimeMs > 0, 'a certificate lives for some time');
    const { keys, clock, random } = this.#dependencies;
    const nowMs = wholeSeconds(clock.wallMs());
    if (nowMs >= this.#notAfterMs) {
      throw new IdentityError(
        'IDENTITY_AUTHORITY_EXPIRED',
        'the fleet authority has expired and can issue nothing',
      );
    }
    return keys.issueCertificate(
      {
        dnsNames: [],
        ipAddresses: [],
        uris: [],
        serialNumber: serialNumber(random),
        ...profile,
        notBeforeMs: nowMs - clockSkewMs,
        notAfterMs: Math.min(wholeSeconds(nowMs + lifetimeMs), this.#notAfterMs),
      },
      publicKeyPem,
      this.#issuer,
    );
  }
}

/**
 * The authority of this folder; on the first start it is made (10 years) and is on
 * disk, readable by this user alone, when this resolves. Throws IdentityError where
 * what is there cannot be used: it is never replaced.
 */
export async function openCertificateAuthority(
  dependencies: AuthorityDependencies,
  options: AuthorityOptions = {},
): Promise<CertificateAuthority> {
  const bytes = await dependencies.disk.readFile(fileName, fileMaxBytes);
  if (bytes === undefined) {
    return new Authority(dependencies, await createFile(dependencies, options));
  }
  const file = parseFile(bytes);
  try {
    return new Authority(dependencies, file);
  } catch (cause) {
    throw new IdentityError('IDENTITY_AUTHORITY_BROKEN', `${fileName} holds no certificate`, {
      cause,
    });
  }
}

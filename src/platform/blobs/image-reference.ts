/**
 * Names of images: `[registry/]repository[:tag][@digest]`. The grammar is that of
 * the OCI distribution specification; a first component with a dot or a port, or
 * `localhost`, names another registry.
 */
import { isDigest } from './digest.ts';
import { BlobError } from './errors.ts';
import type { Digest } from './types.ts';

export interface ImageReference {
  /** Undefined for the built-in registry. */
  readonly registry: string | undefined;
  readonly repository: string;
  readonly tag: string | undefined;
  readonly digest: Digest | undefined;
}

export const repositoryLengthMax = 255;
export const tagLengthMax = 128;
const referenceLengthMax = 600;
const component = '[a-z0-9]+(?:(?:\\.|_|__|-+)[a-z0-9]+)*';
const repositoryPattern = new RegExp(`^${component}(?:/${component})*$`);
const registryPattern = /^[A-Za-z0-9][A-Za-z0-9.-]{0,252}(?::\d{1,5})?$/;
const tagPattern = /^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$/;

export function isRepository(text: string): boolean {
  return text.length <= repositoryLengthMax && repositoryPattern.test(text);
}

export function isTag(text: string): boolean {
  return tagPattern.test(text);
}

/** Throws IMAGE_REFERENCE_INVALID with what is wrong and what would be right. */
export function parseImageReference(text: string): ImageReference {
  if (text.length === 0 || text.length > referenceLengthMax) {
    throw invalid(`an image reference has 1 to ${referenceLengthMax} characters`);
  }
  const at = text.indexOf('@');
  const digestText = at < 0 ? undefined : text.slice(at + 1);
  if (digestText !== undefined && !isDigest(digestText)) {
    throw invalid(`"${digestText}" is not "sha256:" and 64 lower-case hexadecimal digits`);
  }
  const named = at < 0 ? text : text.slice(0, at);
  const lastSlash = named.lastIndexOf('/');
  const colon = named.indexOf(':', lastSlash + 1);
  const tag = colon < 0 ? undefined : named.slice(colon + 1);
  if (tag !== undefined && !isTag(tag)) {
    throw invalid(`tag "${tag}" is not 1 to ${tagLengthMax} letters, digits, ".", "_" or "-"`);
  }
  const path = colon < 0 ? named : named.slice(0, colon);
  const firstSlash = path.indexOf('/');
  const first = firstSlash < 0 ? '' : path.slice(0, firstSlash);
  const isRegistry = first.includes('.') || first.includes(':') || first === 'localhost';
  if (isRegistry && !registryPattern.test(first)) {
    throw invalid(`"${first}" is not the host name of a registry`);
  }
  const repository = isRegistry ? path.slice(firstSlash + 1) : path;
  if (!isRepository(repository)) {
    throw invalid(
      `repository "${repository}" is not lower-case letters and digits, separated by ".", "_", "-" or "/", ` +
        `of at most ${repositoryLengthMax} characters`,
    );
  }
  return { registry: isRegistry ? first : undefined, repository, tag, digest: digestText };
}

function invalid(message: string): BlobError {
  return new BlobError('IMAGE_REFERENCE_INVALID', message);
}

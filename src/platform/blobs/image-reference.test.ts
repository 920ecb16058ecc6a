import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BlobError } from './errors.ts';
import { parseImageReference } from './image-reference.ts';
import type { OciIndex } from './oci.ts';
import { choosePlatform } from './platform-choice.ts';

const digest = `sha256:${'ab'.repeat(32)}` as const;

test('references are read as registry, repository, tag and digest', () => {
  const cases: Readonly<Record<string, unknown>> = {
    'edge-service-image:latest': [undefined, 'edge-service-image', 'latest', undefined],
    'team/app': [undefined, 'team/app', undefined, undefined],
    [`team/app:1.0@${digest}`]: [undefined, 'team/app', '1.0', digest],
    [`app@${digest}`]: [undefined, 'app', undefined, digest],
    'localhost:5000/app': ['localhost:5000', 'app', undefined, undefined],
    'ghcr.io/team/app:V2_x': ['ghcr.io', 'team/app', 'V2_x', undefined],
  };
  for (const [text, expected] of Object.entries(cases)) {
    const read = parseImageReference(text);
    assert.deepEqual([read.registry, read.repository, read.tag, read.digest], expected, text);
  }
});

test('what is no reference is refused with what would be right', () => {
  const wrong = ['', 'App', 'a//b', '../a', 'a:', 'a:b c', 'a@sha256:12', 'a:.x', 'x'.repeat(700)];
  for (const text of wrong) {
    assert.throws(
      () => parseImageReference(text),
      (error) => error instanceof BlobError && error.code === 'IMAGE_REFERENCE_INVALID',
      text,
    );
  }
});

test('a node takes the entry for the platform it likes best, and nothing that it cannot run', () => {
  const entry = (os: string, architecture: string, variant?: string) => ({
    mediaType: 'application/vnd.oci.image.manifest.v1+json',
    digest: `sha256:${os}${architecture}${variant ?? ''}` as const,
    size: 1,
    platform: { os, architecture, ...(variant === undefined ? {} : { variant }) },
  });
  const index: OciIndex = {
    schemaVersion: 2,
    mediaType: 'application/vnd.oci.image.index.v1+json',
    manifests: [
      entry('linux', 'arm64', 'v8'),
      entry('script', 'javascript'),
      entry('linux', 'arm', 'v6'),
      entry('linux', 'arm', 'v7'),
    ],
  };
  const chosen = (...offered: string[]): string | undefined => {
    const platform = choosePlatform(index, offered)?.platform;
    return platform && `${platform.os}/${platform.architecture}/${platform.variant ?? ''}`;
  };
  assert.deepEqual(
    [
      chosen('script/javascript', 'linux/arm64'),
      chosen('linux/arm64', 'script/javascript'),
      chosen('linux/arm/v7'),
      chosen('linux/amd64'),
    ],
    ['script/javascript/', 'linux/arm64/v8', 'linux/arm/v7', undefined],
  );
});

/**
 * `selvage image build|push`: packs a folder with an `image.json` into an OCI
 * image, as an OCI layout on disk that any OCI tool reads, and pushes images into
 * the fleet's registry over the distribution protocol.
 */
import {
  type BundleFiles,
  type ImageVariant,
  packImage,
  parseImageFile,
  scriptPlatform,
  wasmPlatform,
} from '#engines/image-layout/mod.ts';
import { textOf, utf8 } from '#base/mod.ts';
import {
  type Digest,
  mediaTypes,
  type OciIndex,
  type OciManifest,
  parseImageReference,
} from '#platform/blobs/mod.ts';
import type { Disk } from '#platform/io/mod.ts';
import { type ApiAccess, openApi, requestApi } from './api-access.ts';
import { type CliContext, CommandFailure, type ExitCode, exitCodes } from './context.ts';
import { createProgress } from './progress.ts';

const imageFileBytesMax = 64 * 1024;
const sourceFileBytesMax = 64 * 1024 * 1024;
const sourceFilesMax = 10_000;
const blobBytesMax = 1024 * 1024 * 1024;

/** An image in memory: where its tree begins, and every blob below that. */
export interface ImageContent {
  /** `repository:tag` */
  readonly name: string;
  readonly root: { readonly digest: Digest; readonly mediaType: string };
  readonly blobs: ReadonlyMap<string, Uint8Array>;
}

/** Packs the folder by its `image.json`. Throws CommandFailure naming what is wrong there. */
export async function buildImage(context: CliContext, folder: string): Promise<ImageContent> {
  const disk = context.diskAt(folder);
  const bytes = await disk.readFile('image.json', imageFileBytesMax);
  if (bytes === undefined) {
    throw new CommandFailure(
      `${folder} has no image.json. It names the image, its entrypoint and its files; see examples/edge-microservice/image.json.`,
    );
  }
  try {
    const file = parseImageFile(JSON.parse(textOf(bytes)));
    const variants: ImageVariant[] = [
      { platform: scriptPlatform, ...(await bundleOf(disk, file, folder)) },
    ];
    if (file.wasm !== undefined) {
      variants.push({ platform: wasmPlatform, ...(await bundleOf(disk, file.wasm, folder)) });
    }
    const packed = packImage({ variants, env: file.env, labels: file.labels });
    return {
      name: file.name,
      root: { digest: packed.index.digest, mediaType: packed.index.mediaType },
      blobs: packed.blobs,
    };
  } catch (error) {
    if (error instanceof CommandFailure) throw error;
    throw new CommandFailure(
      `${folder}/image.json: ${error instanceof Error ? error.message : String(error)}`,
    );
  }
}

async function bundleOf(
  disk: Disk,
  { include, root, entrypoint }: BundleFiles,
  folder: string,
): Promise<Pick<ImageVariant, 'files' | 'entrypoint'>> {
  const files = [];
  for (const included of include) {
    for (const path of await filesBelow(disk, included)) {
      const content = await disk.readFile(path, sourceFileBytesMax);
      if (content === undefined) {
        throw new CommandFailure(`image.json includes ${path}, which is not in ${folder}.`);
      }
      files.push({ path: pathInImage(path, root), bytes: content, mode: 0o644 });
    }
  }
  return { files, entrypoint };
}

/** The file itself, or every file below a folder, sorted. Throws where there is neither. */
async function filesBelow(disk: Disk, path: string): Promise<string[]> {
  const slash = path.lastIndexOf('/');
  const siblings = await disk.list(slash === -1 ? '' : path.slice(0, slash));
  const self = siblings.find((entry) => entry.name === path.slice(slash + 1));
  if (self === undefined) {
    throw new CommandFailure(`image.json includes ${path}, which is not there.`);
  }
  if (self.kind !== 'directory') return [path];
  const found: string[] = [];
  for (const entry of await disk.list(path)) {
    found.push(...(await filesBelow(disk, `${path}/${entry.name}`)));
    if (found.length > sourceFilesMax) {
      throw new CommandFailure(`${path} holds more than ${sourceFilesMax} files.`);
    }
  }
  return found;
}

function pathInImage(path: string, root: string): string {
  if (root === '.') return path;
  if (!path.startsWith(`${root}/`)) {
    throw new CommandFailure(`image.json includes ${path}, which is not below its root ${root}.`);
  }
  return path.slice(root.length + 1);
}

async function writeLayout(disk: Disk, image: ImageContent): Promise<void> {
  await disk.makeDirectory('blobs/sha256', 0o755);
  for (const [digest, bytes] of image.blobs) {
    await disk.writeFileAtomic(`blobs/${digest.replace(':', '/')}`, bytes, 0o644);
  }
  const root = image.blobs.get(image.root.digest);
  const tag = image.name.slice(image.name.lastIndexOf(':') + 1);
  const index = {
    schemaVersion: 2,
    mediaType: mediaTypes.index,
    manifests: [
      {
        ...image.root,
        size: root?.length ?? 0,
        annotations: { 'org.opencontainers.image.ref.name': tag },
      },
    ],
  };
  await disk.writeFileAtomic('oci-layout', utf8('{"imageLayoutVersion":"1.0.0"}'), 0o644);
  await disk.writeFileAtomic('index.json', utf8(JSON.stringify(index)), 0o644);
}

async function readLayout(disk: Disk, name: string): Promise<ImageContent> {
  const blobs = new Map<string, Uint8Array>();
  const load = async (digest: string): Promise<Uint8Array> => {
    const bytes = await disk.readFile(`blobs/${digest.replace(':', '/')}`, blobBytesMax);
    if (bytes === undefined)
      throw new CommandFailure(`the layout has no blob ${digest}; it is incomplete.`);
    blobs.set(digest, bytes);
    return bytes;
  };
  const top = await disk.readFile('index.json', imageFileBytesMax);
  if (top === undefined) throw new CommandFailure('the layout has no index.json.');
  const first = (JSON.parse(textOf(top)) as OciIndex).manifests[0];
  if (first === undefined) throw new CommandFailure('the index.json of the layout names no image.');
  const visit = async (digest: string, mediaType: string): Promise<void> => {
    const bytes = await load(digest);
    if (mediaType === mediaTypes.index || mediaType === mediaTypes.dockerManifestList) {
      for (const entry of (JSON.parse(textOf(bytes)) as OciIndex).manifests) {
        await visit(entry.digest, entry.mediaType);
      }
      return;
    }
    const manifest = JSON.parse(textOf(bytes)) as OciManifest;
    for (const part of [manifest.config, ...manifest.layers]) await load(part.digest);
  };
  await visit(first.digest, first.mediaType);
  return { name, root: { digest: first.digest, mediaType: first.mediaType }, blobs };
}

/**
 * Pushes every blob that the registry lacks, or has damaged, then the manifests from the
 * leaves up, then the name. Answers how many bytes went over: 0 where the registry has all
 * of this very image under its name. `onSent` hears how many of its bytes are there so far.
 */
export async function pushImage(
  access: ApiAccess,
  image: ImageContent,
  onSent: (bytes: number) => void = () => {},
): Promise<number> {
  const colon = image.name.lastIndexOf(':');
  const repository = colon > image.name.lastIndexOf('/') ? image.name.slice(0, colon) : image.name;
  const tag = colon > image.name.lastIndexOf('/') ? image.name.slice(colon + 1) : 'latest';
  let sentBytes = 0;
  let thereBytes = 0;
  const manifests: { digest: string; mediaType: string }[] = [];
  const visit = async (digest: string, mediaType: string): Promise<void> => {
    const bytes = image.blobs.get(digest);
    if (bytes === undefined) throw new CommandFailure(`the image lacks its blob ${digest}.`);
    if (mediaType === mediaTypes.index || mediaType === mediaTypes.dockerManifestList) {
      for (const entry of (JSON.parse(textOf(bytes)) as OciIndex).manifests) {
        await visit(entry.digest, entry.mediaType);
      }
    } else {
      const manifest = JSON.parse(textOf(bytes)) as OciManifest;
      for (const part of [manifest.config, ...manifest.layers]) {
        const blob = image.blobs.get(part.digest);
        sentBytes += await pushBlob(access, repository, part.digest, blob);
        thereBytes += blob?.length ?? 0;
        onSent(thereBytes);
      }
    }
    manifests.push({ digest, mediaType });
  };
  await visit(image.root.digest, image.root.mediaType);
  for (const { digest, mediaType } of manifests) {
    const reference = digest === image.root.digest ? tag : digest;
    const path = `/v2/${repository}/manifests/${reference}`;
    const present = await requestApi(access, 'HEAD', path);
    if (present.status === 200 && present.headers['docker-content-digest'] === digest) continue;
    const bytes = image.blobs.get(digest) ?? new Uint8Array();
    const answer = await requestApi(access, 'PUT', path, {
      contentType: mediaType,
      bytes,
    });
    expectStatus(answer, [201], `the manifest ${reference}`);
    sentBytes += bytes.length;
  }
  return sentBytes;
}

async function pushBlob(
  access: ApiAccess,
  repository: string,
  digest: string,
  bytes: Uint8Array | undefined,
): Promise<number> {
  if (bytes === undefined) throw new CommandFailure(`the image lacks its blob ${digest}.`);
  const present = await requestApi(access, 'HEAD', `/v2/${repository}/blobs/${digest}`);
  if (present.status === 200) return 0;
  const answer = await requestApi(
    access,
    'POST',
    `/v2/${repository}/blobs/uploads/?digest=${digest}`,
    {
      contentType: 'application/octet-stream',
      bytes,
    },
  );
  expectStatus(answer, [201], `the blob ${digest}`);
  return bytes.length;
}

function expectStatus(
  answer: { readonly status: number; readonly bytes: Uint8Array },
  expected: readonly number[],
  what: string,
): void {
  if (expected.includes(answer.status)) return;
  throw new CommandFailure(
    `the registry refused ${what} with status ${answer.status}: ${textOf(answer.bytes.subarray(0, 2000))}`,
  );
}

export async function imageBuild(
  context: CliContext,
  options: { readonly folder: string; readonly outputFolder: string },
): Promise<ExitCode> {
  const image = await buildImage(context, options.folder);
  await writeLayout(context.diskAt(options.outputFolder), image);
  context.standardOutput.write(
    `built ${image.name} (${image.root.digest}) as an OCI layout in ${options.outputFolder}\n`,
  );
  return exitCodes.ok;
}

export async function imagePush(
  context: CliContext,
  options: {
    readonly source: string;
    readonly name: string | undefined;
    readonly kubeconfigPath: string;
  },
): Promise<ExitCode> {
  if (options.name !== undefined) {
    try {
      parseImageReference(options.name);
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      throw new CommandFailure(`'${options.name}' is no image name: ${reason}.`, exitCodes.usage);
    }
  }
  const disk = context.diskAt(options.source);
  const isLayout = (await disk.readFile('oci-layout', imageFileBytesMax)) !== undefined;
  if (isLayout && options.name === undefined) {
    throw new CommandFailure(
      `${options.source} is an OCI layout: say what to call the image, 'selvage image push ${options.source} NAME:TAG'.`,
      exitCodes.usage,
    );
  }
  const content = isLayout
    ? await readLayout(disk, options.name ?? '')
    : await buildImage(context, options.source);
  const image = { ...content, name: options.name ?? content.name };
  const access = await openApi(context, options.kubeconfigPath);
  const totalBytes = [...image.blobs.values()].reduce((sum, bytes) => sum + bytes.length, 0);
  const progress = createProgress(context, `pushing ${image.name}`, totalBytes);
  const sentBytes = await pushImage(access, image, (bytes) => progress.show(bytes));
  progress.done();
  context.standardOutput.write(
    `pushed ${image.name} (${image.root.digest}), ${sentBytes} bytes sent\n`,
  );
  return exitCodes.ok;
}

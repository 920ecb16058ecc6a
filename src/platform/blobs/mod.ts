export { type ArchivedFile, type ArchiveSummary, readArchive, writeArchive } from './archive.ts';
export { openBlobStore, type BlobStoreOptions } from './blob-store.ts';
export { digestOf, isDigest } from './digest.ts';
export { BlobError, type BlobErrorCode } from './errors.ts';
export { createImageCatalog, type ImageTag, type TaggedImages } from './image-catalog.ts';
export { parseImageReference, type ImageReference } from './image-reference.ts';
export { manifestBytesMax, parseManifest, type ParsedManifest } from './manifest.ts';
export {
  mediaTypes,
  platformText,
  type OciDescriptor,
  type OciImageConfig,
  type OciIndex,
  type OciManifest,
  type OciPlatform,
} from './oci.ts';
export { choosePlatform } from './platform-choice.ts';
export { createRegistryHandler, type RegistryHandler } from './registry.ts';
export {
  type BlobStore,
  type BlobUpload,
  type Digest,
  type ImageCatalog,
  type ResolvedImage,
} from './types.ts';

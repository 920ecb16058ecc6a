export {
  mediaTypes,
  platformText,
  type OciDescriptor,
  type OciImageConfig,
  type OciIndex,
  type OciManifest,
  type OciPlatform,
} from './oci.ts';
export {
  type BlobStore,
  type BlobUpload,
  type Digest,
  type ImageCatalog,
  type ResolvedImage,
} from './types.ts';

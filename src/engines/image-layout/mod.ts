export { ImageLayoutError, type ImageLayoutErrorCode } from './errors.ts';
export { parseImageFile, type BundleFiles, type ImageFile } from './image-file.ts';
export { flattenLayers, layerArchive } from './layers.ts';
export {
  packImage,
  packScriptImage,
  scriptPlatform,
  wasmPlatform,
  type ImageVariant,
  type ImageDescriptor,
  type ImageDigest,
  type PackedImage,
  type ScriptImageInput,
} from './script-image.ts';
export { archiveLimits, readTar, type ArchiveEntry, type ArchiveLimits } from './tar-reader.ts';
export { writeTar, type ArchiveFile } from './tar-writer.ts';

/** What is wrong with an archive, an image or the file that describes one. */
import { SelvageError } from '#base/mod.ts';

export type ImageLayoutErrorCode =
  /** The archive is damaged, unsafe or beyond a limit. */
  | 'IMAGE_ARCHIVE_REFUSED'
  /** `image.json` is not what it should be. */
  | 'IMAGE_FILE_INVALID'
  /** The files given to pack cannot make an image. */
  | 'IMAGE_PACK_INVALID';

export class ImageLayoutError extends SelvageError {
  override readonly name = 'ImageLayoutError';
  declare readonly code: ImageLayoutErrorCode;
}

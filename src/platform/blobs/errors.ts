/** What can go wrong with content-addressed bytes and with names for them. */
import { SelvageError } from '#base/mod.ts';

export type BlobErrorCode =
  | 'BLOB_NOT_FOUND'
  | 'BLOB_TOO_LARGE'
  | 'BLOB_DIGEST_MISMATCH'
  | 'BLOB_DIGEST_INVALID'
  | 'BLOB_NO_SPACE'
  | 'BLOB_TOO_MANY_UPLOADS'
  | 'BLOB_UPLOAD_ENDED'
  | 'BLOB_DAMAGED'
  | 'IMAGE_REFERENCE_INVALID'
  | 'IMAGE_MANIFEST_INVALID'
  | 'IMAGE_TAGS_FULL';

export class BlobError extends SelvageError {
  override readonly name = 'BlobError';
  declare readonly code: BlobErrorCode;

  constructor(code: BlobErrorCode, message: string, cause?: unknown) {
    super(code, message, {
      cause,
      retryable: code === 'BLOB_NO_SPACE' || code === 'BLOB_TOO_MANY_UPLOADS',
    });
  }
}

/** `ARCHIVE_DAMAGED`, `ARCHIVE_FILE_CHANGED`. */
export class ArchiveError extends SelvageError {
  override readonly name = 'ArchiveError';
}

/** What the object model raises beside StatusError: values that cannot be read. */
import { SelvageError } from '#base/mod.ts';

export type ApiModelErrorCode = 'API_QUANTITY_INVALID' | 'API_DEFINITION_INVALID';

export class ApiModelError extends SelvageError {
  override readonly name = 'ApiModelError';
  declare readonly code: ApiModelErrorCode;
}

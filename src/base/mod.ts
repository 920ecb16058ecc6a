export { assert, AssertionFailure, unreachable } from './assert.ts';
export { type Brand, type NodeName, type Revision, type Uid } from './brand.ts';
export { bytesOfHex, concatBytes, equalBytes, hexOf, strictTextOf, textOf, utf8 } from './bytes.ts';
export { errorText, SelvageError, type ErrorDetails } from './errors.ts';
export { armSabotage, isSabotaged, type SabotageHook } from './sabotage.ts';
export { copyJson, type Json, type JsonObject, isJsonObject } from './json.ts';
export { ownOf } from './own.ts';

/**
 * Which room may import which. A room is a folder below `src`; its key is the
 * path. The test beside this file fails on an import that has no row here and on
 * an entry that no import uses, so that the table is always the truth.
 */

/** Rooms by the longest matching path. The value lists the rooms it may import. */
export const importTable: Readonly<Record<string, readonly string[]>> = {
  base: [],
  'platform/io': ['base'],
  'platform/io/node': ['base', 'platform/io'],
  'platform/sim': ['base', 'platform/io'],
  'platform/log': ['base', 'platform/io'],
  'platform/store': ['base', 'platform/io', 'platform/log'],
  'platform/api': ['base', 'platform/io', 'platform/store'],
  'platform/wire': ['base', 'platform/io'],
  'platform/sync': ['base', 'platform/io', 'platform/log', 'platform/store', 'platform/wire'],
  'platform/identity': ['base', 'platform/io', 'platform/api', 'platform/store'],
  'platform/blobs': ['base', 'platform/io', 'platform/store'],
  'platform/client': ['base', 'platform/io', 'platform/api'],
  'platform/reconcile': ['base', 'platform/io', 'platform/api', 'platform/client'],
};

/** Packages and built-in modules that a room may import beside other rooms. */
export const packageTable: Readonly<Record<string, readonly string[]>> = {};

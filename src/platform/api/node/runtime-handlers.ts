/** The runtimes that nodes may have, by the names that RuntimeClasses know them by. */

/** Image platforms of each, best first. */
export const runtimePlatforms: Readonly<Record<string, readonly string[]>> = {
  script: ['script/javascript'],
  wasm: ['wasi/wasm'],
};

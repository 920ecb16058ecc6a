/**
 * How Node.js is started for an agent. What it does is little, and it runs on small
 * machines: memory counts more than speed. Measured by `npm run bench -- agent`.
 */
export const agentNodeFlags: readonly string[] = [
  '--disable-warning=ExperimentalWarning',
  '--optimize-for-size',
  // In MiB. Young objects are collected sooner, from a smaller place.
  '--max-semi-space-size=1',
  '--v8-pool-size=1',
  // The optimizing compilers are parts of the program that an idle agent need not
  // have in memory: only what runs really often is given to them.
  '--invocation-count-for-feedback-allocation=100',
  '--invocation-count-for-maglev=20000',
  '--invocation-count-for-maglev-osr=20000',
  '--invocation-count-for-turbofan=60000',
  '--invocation-count-for-osr=20000',
];

/** For the C library: one heap for all threads, and what is free goes back at once. */
export const agentEnvironment: Readonly<Record<string, string>> = {
  MALLOC_ARENA_MAX: '1',
  MALLOC_MMAP_THRESHOLD_: '65536',
  MALLOC_TRIM_THRESHOLD_: '65536',
};

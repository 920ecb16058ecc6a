/**
 * Which commands the container's own tools answer: `tar` and the few others that
 * kubectl and people ask for. The program itself is platform/io/node/container-tools.ts.
 */

export const toolNames: readonly string[] = ['tar', 'test', 'cat', 'ls', 'env'];

/**
 * The tools are ours and not the workload's: what they reach is bounded by its user
 * and its namespaces, as for it. They start no program and load none.
 */
export const toolFlags: readonly string[] = [
  '--permission',
  '--allow-fs-read=*',
  '--allow-fs-write=*',
];

/** `kubectl cp --retries` continues where it was cut off. */
const archiveFromByte = /^tar cf - (.+) \| tail -c\+([0-9]{1,15})$/;

/** The words for the tools' program; undefined for what is no tool. */
export function toolWordsOf(command: readonly string[]): readonly string[] | undefined {
  const [program = '', ...rest] = command;
  if (program === 'sh' && rest[0] === '-c' && rest.length === 2) {
    const [, path, byte] = archiveFromByte.exec(rest[1] ?? '') ?? [];
    return path === undefined || byte === undefined ? undefined : ['tar-from', byte, path];
  }
  const name = program.replace(/^(\/usr)?\/bin\//, '');
  return toolNames.includes(name) ? [name, ...rest] : undefined;
}

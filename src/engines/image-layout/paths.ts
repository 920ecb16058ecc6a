/** Paths inside an image: relative, `/`-separated, and never out of it. */

export const pathLengthMax = 255;

/** Why `path` is refused, or undefined where it is plain and stays inside. */
export function pathFault(path: string): string | undefined {
  if (path.length === 0) return 'is empty';
  if (path.length > pathLengthMax) return `is longer than ${pathLengthMax} characters`;
  if (path.includes('\0') || path.includes('\n')) return 'holds a NUL or a line break';
  if (path.includes('\\')) return 'holds a backslash';
  if (path.startsWith('/')) return 'is absolute';
  for (const part of path.split('/')) {
    if (part === '..') return 'leaves the image by ".."';
    if (part === '.' || part === '') return 'is not in its simplest form';
  }
  return undefined;
}

/** Where a symbolic link at `path` leads, from the root; undefined where it leaves it. */
export function linkTarget(path: string, target: string): string | undefined {
  if (target.startsWith('/') || target.includes('\0') || target.length > pathLengthMax) {
    return undefined;
  }
  const parts = path.split('/').slice(0, -1);
  for (const part of target.split('/')) {
    if (part === '' || part === '.') continue;
    if (part !== '..') parts.push(part);
    else if (parts.pop() === undefined) return undefined;
  }
  return parts.join('/');
}

/** Joining of absolute and relative paths as people type them, without node:path. */
import type { CliContext } from './context.ts';

/** `path` below `base` unless it is absolute itself; `.` and `..` are resolved. */
export function resolvePath(base: string, path: string): string {
  const whole = path.startsWith('/') ? path : `${base}/${path}`;
  const parts: string[] = [];
  for (const part of whole.split('/')) {
    if (part === '' || part === '.') continue;
    if (part === '..') parts.pop();
    else parts.push(part);
  }
  return `/${parts.join('/')}`;
}

/** Folder and last name of an absolute path. */
export function splitPath(path: string): { readonly folder: string; readonly name: string } {
  const slash = path.lastIndexOf('/');
  return { folder: slash <= 0 ? '/' : path.slice(0, slash), name: path.slice(slash + 1) };
}

/** As a person in `workingDirectory` would type it: relative where it lies below. */
export function displayPath(workingDirectory: string, path: string): string {
  return path.startsWith(`${workingDirectory}/`) ? path.slice(workingDirectory.length + 1) : path;
}

/** How the person who started this can run the command again. */
export function selvageWords(context: CliContext): string {
  const { packageFolder, workingDirectory } = context;
  if (packageFolder === resolvePath(workingDirectory, 'node_modules/selvage')) return 'npx selvage';
  const path = displayPath(workingDirectory, `${packageFolder}/selvage`);
  return path.startsWith('/') ? path : `./${path}`;
}

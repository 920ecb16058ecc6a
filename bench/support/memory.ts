/** What the kernel says of a process's memory. */
import { readFileSync } from 'node:fs';

function kibibytes(path: string, field: string): number {
  const match = new RegExp(`^${field}:\\s+(\\d+) kB`, 'm').exec(readFileSync(path, 'utf8'));
  if (match === null) throw new Error(`${path} has no ${field}`);
  return Number(match[1]);
}

/** Resident memory. */
export function rssBytesOf(pid: number): number {
  return kibibytes(`/proc/${pid}/status`, 'VmRSS') * 1024;
}

/** Resident memory with shared pages divided among those who share them. */
export function pssBytesOf(pid: number): number {
  return kibibytes(`/proc/${pid}/smaps_rollup`, 'Pss') * 1024;
}

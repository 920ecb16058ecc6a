/** Reads the entries of an audit log, oldest first. Whether they fit is verify.ts's to say. */
import { isJsonObject } from '#base/mod.ts';
import type { Disk } from '#platform/io/mod.ts';
import { listSegments, readSegment } from './segments.ts';
import type { AuditEntry } from './types.ts';

/** What is no entry is passed over; `onSkipped` hears where it stands. */
export async function* readAudit(
  disk: Disk,
  onSkipped: (file: string, line: number) => void,
): AsyncGenerator<AuditEntry> {
  for (const { name } of await listSegments(disk)) {
    const segment = await readSegment(disk, name);
    for (const [index, text] of (segment?.lines ?? []).entries()) {
      const entry = entryOf(text);
      if (entry === undefined) onSkipped(name, index + 1);
      else yield entry;
    }
  }
}

function entryOf(text: string): AuditEntry | undefined {
  try {
    const value: unknown = JSON.parse(text);
    const isEntry = isJsonObject(value) && (value['kind'] === 'Event' || value['kind'] === 'Mark');
    return isEntry ? (value as unknown as AuditEntry) : undefined;
  } catch {
    return undefined;
  }
}

/** A resource kept as a ring: the oldest objects go as new ones come. */
import { assert, type Uid } from '#base/mod.ts';
import { keyText } from './key.ts';
import type { ObjectKey, StoredObject } from './types.ts';

export interface Retention {
  readonly resource: string;
  readonly objectsMax: number;
  /** Of wall time since creation; looked at when something new comes. */
  readonly ageMaxMs?: number;
}

/** Objects that one transaction lets go of for their age. */
const agedPerTransactionMax = 64;

export function retentionOf(retention: Retention): Retention {
  assert(retention.objectsMax > 0, 'a ring holds at least one object');
  return retention;
}

export interface Member {
  readonly key: ObjectKey;
  readonly uid: Uid;
  readonly createdWallMs: number;
}

export class Ring {
  readonly #retention: Retention;
  /** In the order of creation. */
  readonly #members = new Map<string, Member>();

  constructor(retention: Retention) {
    this.#retention = retention;
  }

  holds(key: ObjectKey): boolean {
    return key.resource === this.#retention.resource;
  }

  created(object: StoredObject, createdWallMs: number): void {
    if (!this.holds(object.key)) return;
    const { key, uid } = object;
    this.#members.set(keyText(key), { key, uid, createdWallMs });
  }

  removed(object: StoredObject): void {
    this.#members.delete(keyText(object.key));
  }

  createdWallMs(object: StoredObject): number {
    return this.#members.get(keyText(object.key))?.createdWallMs ?? 0;
  }

  /** The durable objects of the ring by key text, oldest first; the caller's to change. */
  members(): Map<string, Member> {
    return new Map(this.#members);
  }

  /** Which of `members` have to go, oldest first, when `creates` more come. */
  beyond(members: ReadonlyMap<string, Member>, creates: number, nowWallMs: number): Member[] {
    let size = members.size + creates;
    const { objectsMax, ageMaxMs } = this.#retention;
    const out: Member[] = [];
    for (const member of members.values()) {
      const isAged =
        ageMaxMs !== undefined &&
        nowWallMs - member.createdWallMs > ageMaxMs &&
        out.length < agedPerTransactionMax;
      if (size <= objectsMax && !isAged) break;
      out.push(member);
      size -= 1;
    }
    return out;
  }
}

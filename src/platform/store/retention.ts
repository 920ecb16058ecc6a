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

  get size(): number {
    return this.#members.size;
  }

  has(text: string): boolean {
    return this.#members.has(text);
  }

  /** The durable objects of the ring, oldest first, without those of these key texts. */
  *without(removed: ReadonlySet<string>): Generator<Member> {
    for (const [text, member] of this.#members) if (!removed.has(text)) yield member;
  }

  /** Which of `members`, oldest first, have to go so that the `size` that there will be fits. */
  beyond(members: Iterable<Member>, size: number, nowWallMs: number): Member[] {
    const { objectsMax, ageMaxMs } = this.#retention;
    const out: Member[] = [];
    for (const member of members) {
      const isAged =
        ageMaxMs !== undefined &&
        nowWallMs - member.createdWallMs > ageMaxMs &&
        out.length < agedPerTransactionMax;
      if (size - out.length <= objectsMax && !isAged) break;
      out.push(member);
    }
    return out;
  }
}

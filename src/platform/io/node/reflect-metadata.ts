/**
 * The four functions of the metadata reflection proposal, for the one library that
 * asks for them. They are added to the global Reflect because that is where it
 * looks; what is there already is left alone.
 */

const metadataOf = new WeakMap<object, Map<unknown, unknown>>();

const functions = {
  defineMetadata(key: unknown, value: unknown, target: object): void {
    const own = metadataOf.get(target) ?? new Map<unknown, unknown>();
    own.set(key, value);
    metadataOf.set(target, own);
  },
  getOwnMetadata(key: unknown, target: object): unknown {
    return metadataOf.get(target)?.get(key);
  },
  getMetadata(key: unknown, target: object): unknown {
    for (let at: object | null = target; at !== null; at = Reflect.getPrototypeOf(at)) {
      const own = metadataOf.get(at);
      if (own?.has(key) === true) return own.get(key);
    }
    return undefined;
  },
  metadata(key: unknown, value: unknown): (target: object) => void {
    return (target) => functions.defineMetadata(key, value, target);
  },
};

/** Idempotent. */
export function installReflectMetadata(): void {
  for (const [name, value] of Object.entries(functions)) {
    if (!(name in Reflect)) {
      Object.defineProperty(Reflect, name, { value, configurable: true, writable: true });
    }
  }
}

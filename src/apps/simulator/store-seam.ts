/** A store in front of a store, for those who observe or falsify a part of it. */
import type { Store } from '#platform/store/mod.ts';

export function delegatingStore(
  store: Store,
  overrides: Partial<Pick<Store, 'transact' | 'watch' | 'get' | 'list'>>,
): Store {
  return {
    get incarnation() {
      return store.incarnation;
    },
    get isLatched() {
      return store.isLatched;
    },
    get oldestWatchable() {
      return store.oldestWatchable;
    },
    get revision() {
      return store.revision;
    },
    head: () => store.head(),
    cursorAt: (sequence) => store.cursorAt(sequence),
    get: overrides.get ?? ((key) => store.get(key)),
    list: overrides.list ?? ((resource, namespace) => store.list(resource, namespace)),
    lookup: (index, value) => store.lookup(index, value),
    transact: overrides.transact ?? ((decide) => store.transact(decide)),
    watch: overrides.watch ?? ((from, listener) => store.watch(from, listener)),
    compact: () => store.compact(),
    close: () => store.close(),
  };
}

/**
 * The way of a write through its admitters.
 *
 * Invariants:
 * 1. Admitters are asked in the order of the one list; the first that refuses ends it.
 * 2. A kind that no admitter is declared for pays nothing but a look-up.
 * 3. What an admitter puts into an object is completed by the schema like what a client
 *    sends: stored is what the next write makes of it too.
 * 4. What an admitter changes beside the written object is part of the same
 *    transaction: it happens with the write or not at all, and not in a dry run.
 */
import type {
  ApiObject,
  DefinitionRegistry,
  ResourceDefinition,
  Subresource,
} from '#platform/api/mod.ts';
import type { Change, StoreView, Transaction } from '#platform/store/mod.ts';
import type { ServerParts } from '../dependencies.ts';
import { completed } from '../object-decoding.ts';
import type { RequestContext } from '../route-table.ts';
import type { ServedObjects } from '../served-objects.ts';
import type { Draft } from '../writing.ts';
import type { AdmissionOperation, AdmissionRequest, AdmissionState, Admitter } from './types.ts';

/** The admitters of one request. */
export interface RequestAdmission {
  /**
   * The object as the admitters shape it, which they do in place; the result may be another
   * one that shares its parts. `previous` is undefined on create.
   */
  shape(object: ApiObject, previous: ApiObject | undefined, view: StoreView): ApiObject;
  /** The draft with what the admitters add to it; throws where one refuses. `object` is undefined on delete. */
  admit(
    object: ApiObject | undefined,
    previous: ApiObject | undefined,
    view: StoreView,
    draft: () => Transaction<Draft>,
  ): Transaction<Draft>;
  /** What was said so far, for `Warning` headers. */
  warnings(): readonly string[];
}

export interface Admission {
  /** Those who have a say, in order. */
  admittersFor(
    definition: ResourceDefinition,
    operation: AdmissionOperation,
    subresource: Subresource | undefined,
  ): readonly Admitter[];
}

const nobody: readonly Admitter[] = [];

const freelyAdmitted: RequestAdmission = {
  shape: (object) => object,
  admit: (_object, _previous, _view, draft) => draft(),
  warnings: () => [],
};

export function createAdmission(admitters: readonly Admitter[]): Admission {
  const known = new WeakMap<ResourceDefinition, Map<string, readonly Admitter[]>>();
  return {
    admittersFor(definition, operation, subresource) {
      let ofKind = known.get(definition);
      if (ofKind === undefined) known.set(definition, (ofKind = new Map()));
      const endpoint = subresource ?? 'main';
      const key = `${operation} ${endpoint}`;
      let found = ofKind.get(key);
      if (found === undefined) {
        const concerned = admitters.filter(
          ({ operations, endpoints = ['main'], concerns }) =>
            operations.includes(operation) && endpoints.includes(endpoint) && concerns(definition),
        );
        ofKind.set(key, (found = concerned.length === 0 ? nobody : concerned));
      }
      return found;
    },
  };
}

/** The admission of one request to write an object of this kind. */
export function admissionOf(
  parts: ServerParts,
  definition: ResourceDefinition,
  context: Pick<RequestContext, 'user'>,
  operation: AdmissionOperation,
  subresource: Subresource | undefined,
  isDryRun: boolean,
): RequestAdmission {
  // What is not in the main store cannot be decided together with what is.
  if (definition.storage !== 'main') return freelyAdmitted;
  const admitters = parts.admission.admittersFor(definition, operation, subresource);
  if (admitters.length === 0) return freelyAdmitted;
  const warnings = new Set<string>();
  const nowMs = parts.clock.wallMs();
  const requestOf = (
    object: ApiObject | undefined,
    previous: ApiObject | undefined,
  ): AdmissionRequest => {
    const { name = '', namespace = '' } = (object ?? previous)?.metadata ?? {};
    const about = { definition, operation, subresource, namespace, name };
    return { ...about, user: context.user, isDryRun, nowMs, previous, object };
  };
  return {
    shape(object, previous, view) {
      const request = requestOf(object, previous);
      const state = stateOf(parts, view);
      let isChanged = false;
      for (const { shape } of admitters) {
        const shaping = shape?.(object, request, state);
        if (shaping?.isChanged === true) isChanged = true;
        for (const warning of shaping?.warnings ?? []) warnings.add(warning);
      }
      return isChanged ? completed(definition, object) : object;
    },
    admit(object, previous, view, draft) {
      const request = requestOf(object, previous);
      const state = stateOf(parts, view);
      const added: Change[] = [];
      for (const { check } of admitters) {
        const judgement = check?.(request, state);
        added.push(...(judgement?.changes ?? []));
        for (const warning of judgement?.warnings ?? []) warnings.add(warning);
      }
      const { changes, result } = draft();
      // A write that changes nothing costs nothing.
      if (result.outcome === 'unchanged' || added.length === 0) return { changes, result };
      return { changes: [...changes, ...added], result };
    },
    warnings: () => [...warnings],
  };
}

export function stateOf(
  parts: {
    readonly store: StoreView;
    readonly registry: DefinitionRegistry;
    readonly served: ServedObjects;
  },
  view: StoreView,
): AdmissionState {
  return {
    view,
    acknowledged: parts.store,
    definitions: () => parts.registry.definitions,
    get(resource, namespace, name) {
      const stored = view.get({ resource, namespace, name });
      const definition = parts.registry.byStoreResource(resource);
      if (stored === undefined || definition === undefined) return undefined;
      return parts.served.of(definition, stored).object;
    },
    list(resource, namespace) {
      const definition = parts.registry.byStoreResource(resource);
      if (definition === undefined) return [];
      const found = namespace === undefined ? view.list(resource) : view.list(resource, namespace);
      return found.map((stored) => parts.served.of(definition, stored).object);
    },
  };
}

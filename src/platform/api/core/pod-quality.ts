/**
 * The quality class of a pod, a function of what its containers ask for:
 * Guaranteed where each has limits for processor and memory and asks for just
 * them, BestEffort where none asks for anything, Burstable otherwise.
 */
import { isJsonObject, type JsonObject } from '#base/mod.ts';
import { compareQuantities, tryParseQuantity } from '../quantity.ts';
import type { Container, PodSpec, QualityClass } from './pod-types.ts';

/** A facet is read once in its life, and a pod is served anew with each of its reports. */
const classes = new WeakMap<JsonObject, QualityClass>();

/** `intent` is the stored facet of a pod. */
export function qualityClassOf(intent: JsonObject | undefined): QualityClass {
  if (intent === undefined) return 'BestEffort';
  let found = classes.get(intent);
  if (found === undefined) {
    found = classOf(intent);
    classes.set(intent, found);
  }
  return found;
}

function classOf(intent: JsonObject): QualityClass {
  const { spec } = intent;
  if (!isJsonObject(spec)) return 'BestEffort';
  const { containers = [], initContainers = [] } = spec as unknown as Partial<PodSpec>;
  const all = [...containers, ...initContainers];
  if (all.every((container) => asksForNothing(container))) return 'BestEffort';
  return all.every((container) => asksForItsLimits(container)) ? 'Guaranteed' : 'Burstable';
}

const counted = ['cpu', 'memory'] as const;
const zero = tryParseQuantity('0');

function asksForNothing({ resources = {} }: Container): boolean {
  return counted.every(
    (name) => isNothing(resources.requests?.[name]) && isNothing(resources.limits?.[name]),
  );
}

function asksForItsLimits({ resources = {} }: Container): boolean {
  return counted.every((name) => {
    const limit = tryParseQuantity(resources.limits?.[name] ?? '');
    const request = tryParseQuantity(resources.requests?.[name] ?? resources.limits?.[name] ?? '');
    if (limit === undefined || request === undefined || isNothing(resources.limits?.[name])) {
      return false;
    }
    return compareQuantities(limit, request) === 0;
  });
}

function isNothing(amount: string | undefined): boolean {
  const quantity = amount === undefined ? undefined : tryParseQuantity(amount);
  return quantity === undefined || zero === undefined || compareQuantities(quantity, zero) === 0;
}

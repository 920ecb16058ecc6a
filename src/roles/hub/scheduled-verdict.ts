/**
 * What scheduling says of a pod in its verdict: the PodScheduled condition, where room is
 * made, and what is wrong with its images.
 */
import type { JsonObject } from '#base/mod.ts';
import type { Nomination } from '#engines/scheduler/mod.ts';
import { equalJson } from '#platform/api/mod.ts';
import type { StoredObject } from '#platform/store/mod.ts';
import { type ImageProblem, waitingFor } from './image-waiting.ts';
import { listIn, objectIn } from './json-fields.ts';
import { nominatedNodeOf } from './scheduler-input.ts';
import { hasResolvedImages, readFacet } from './stored-facets.ts';

type Outcome =
  | { readonly type: 'assign' }
  | {
      readonly type: 'wait';
      readonly reason: string;
      readonly message: string;
      readonly nomination?: Nomination;
      readonly problems?: ReadonlyMap<string, ImageProblem>;
    };

export interface ScheduledVerdict {
  /** Whole. */
  readonly verdict: JsonObject;
  /** Whether the condition or the nomination says something else than before. */
  readonly isNews: boolean;
}

/** Undefined where the pod's verdict says all of it already. */
export function scheduledVerdict(
  pod: StoredObject,
  outcome: Outcome,
  nowText: string,
): ScheduledVerdict | undefined {
  const before = readFacet(pod, 'verdict') ?? {};
  if (outcome.type === 'wait' && outcome.problems?.size && hasResolvedImages(pod)) {
    return imagesVerdict(before, outcome.problems);
  }
  const known = conditionIn(before, 'PodScheduled');
  const status = outcome.type === 'assign' ? 'True' : 'False';
  const words: JsonObject =
    outcome.type === 'assign' ? {} : { reason: outcome.reason, message: outcome.message };
  const nominated = outcome.type === 'assign' ? undefined : outcome.nomination?.nodeName;
  const isSaid = known?.['status'] === status && known['message'] === words['message'];
  const isNews = !isSaid || nominated !== nominatedNodeOf(pod);
  const { waiting: waitedFor, imagesUnknown, ...rest } = before;
  const problems = outcome.type === 'assign' ? undefined : outcome.problems;
  const waiting = waitingFor(pod, problems, objectIn(before, 'waiting'));
  const isSame = imagesUnknown === undefined && equalJson(waiting, waitedFor);
  if (!isNews && isSame) return undefined;
  const lastTransitionTime =
    known?.['status'] === status ? (known['lastTransitionTime'] ?? nowText) : nowText;
  const condition = { type: 'PodScheduled', status, ...words, lastTransitionTime };
  const verdict = withNomination(withCondition(rest, condition), nominated);
  return { verdict: waiting === undefined ? verdict : { ...verdict, waiting }, isNews };
}

/** Of a pod that keeps its node and asks for other images: the node is told what is wrong with them. */
function imagesVerdict(
  before: JsonObject,
  problems: ReadonlyMap<string, ImageProblem>,
): ScheduledVerdict | undefined {
  const imagesUnknown = Object.fromEntries(
    Array.from(problems, ([reference, { message }]) => [reference, message]),
  );
  if (equalJson(imagesUnknown, before['imagesUnknown'])) return undefined;
  return { verdict: { ...before, imagesUnknown }, isNews: false };
}

/** The verdict with this condition in place of the one of its type. */
export function withCondition(verdict: JsonObject, condition: JsonObject): JsonObject {
  const others = listIn(verdict['conditions']).filter((one) => one['type'] !== condition['type']);
  return { ...verdict, conditions: [...others, condition] };
}

function conditionIn(verdict: JsonObject, type: string): JsonObject | undefined {
  return listIn(verdict['conditions']).find((condition) => condition['type'] === type);
}

function withNomination(verdict: JsonObject, nodeName: string | undefined): JsonObject {
  const { nominatedNodeName: _before, ...rest } = objectIn(verdict, 'status');
  const status: JsonObject =
    nodeName === undefined ? rest : { ...rest, nominatedNodeName: nodeName };
  const { status: _status, ...others } = verdict;
  return Object.keys(status).length === 0 ? others : { ...others, status };
}

/** Answers to who somebody is and what they may do. Nothing of it is kept. */
import { isJsonObject, type JsonObject } from '#base/mod.ts';
import {
  type AccessReviewSpec,
  type ApiObject,
  type PolicyRule,
  type ResourceDefinition,
  StatusError,
} from '#platform/api/mod.ts';
import { anonymousUser, type User, userNamed } from '#platform/identity/mod.ts';
import { isPretty, jsonAnswer } from '../answers.ts';
import { decide, rulesHeld } from '../authorization.ts';
import { requireParsed } from '../body.ts';
import type { ServerParts } from '../dependencies.ts';
import { decodeObject, warningHeaders } from '../object-decoding.ts';
import { fieldValidationOf } from '../query.ts';
import type { RequestContext, RouteHandler } from '../route-table.ts';
import type { AskedAccess } from './rules.ts';

type Answer = (parts: ServerParts, context: RequestContext, question: ApiObject) => JsonObject;

const answers: Readonly<Record<string, Answer>> = {
  TokenReview: reviewToken,
  SelfSubjectReview: (_parts, { user }) => ({ userInfo: userInfoOf(user ?? anonymousUser) }),
  SubjectAccessReview: (parts, _context, { spec }) => {
    return accessOf(parts, subjectOf(spec as AccessReviewSpec), spec as AccessReviewSpec);
  },
  LocalSubjectAccessReview: (parts, context, { spec }) => {
    const asked = spec as AccessReviewSpec;
    requireNamespace(asked, context.parameters['namespace'] ?? '');
    return accessOf(parts, subjectOf(asked), asked);
  },
  SelfSubjectAccessReview: (parts, { user }, { spec }) => {
    return accessOf(parts, user ?? anonymousUser, spec as AccessReviewSpec);
  },
  SelfSubjectRulesReview: reviewRules,
};

/** POST of a question, which comes back with its answer as status. */
export function reviewHandler(parts: ServerParts, definition: ResourceDefinition): RouteHandler {
  const answer = answers[definition.kind];
  if (answer === undefined) throw new RangeError(`nothing answers a ${definition.kind}`);
  return async (context) => {
    const { query, request } = context;
    const { value, duplicates } = await requireParsed(request);
    const { object, warnings } = decodeObject(
      definition,
      value,
      duplicates,
      fieldValidationOf(query),
    );
    const { spec, ...named } = object;
    // A token that was shown is not shown back.
    const shown = definition.kind === 'TokenReview' ? { ...spec, token: '' } : spec;
    const body = {
      ...named,
      ...(shown === undefined ? {} : { spec: shown }),
      status: answer(parts, context, object),
    };
    return jsonAnswer(201, body, { pretty: isPretty(query), headers: warningHeaders(warnings) });
  };
}

function reviewToken(
  { tokens }: ServerParts,
  _context: RequestContext,
  { spec }: ApiObject,
): JsonObject {
  const { token = '', audiences = [] } = (spec ?? {}) as { token?: string; audiences?: string[] };
  if (token === '')
    throw new StatusError('BadRequest', 'token is required for TokenReview in authentication');
  const verdict = tokens?.judge(token, audiences) ?? { refusal: 'no tokens are issued here' };
  if ('refusal' in verdict) return { authenticated: false, error: verdict.refusal };
  return {
    authenticated: true,
    user: userInfoOf(verdict.user),
    audiences: [...verdict.audiences],
  };
}

function userInfoOf({ name, uid, groups, extra }: User): JsonObject {
  return {
    username: name,
    ...(uid === undefined ? {} : { uid }),
    groups: [...groups],
    ...(extra === undefined
      ? {}
      : {
          extra: Object.fromEntries(
            Object.entries(extra).map(([key, values]) => [key, [...values]]),
          ),
        }),
  };
}

/** Throws 422 where nobody is asked about. */
function subjectOf({ user = '', groups = [] }: AccessReviewSpec): User {
  if (user === '' && groups.length === 0) {
    throw new StatusError(
      'Invalid',
      'spec.user: Required value: at least one of user or groups must be given',
    );
  }
  return user === anonymousUser.name ? { ...anonymousUser, groups } : asGiven(user, groups);
}

/** Groups are those that are given, and no others: who asks says who it is. */
function asGiven(name: string, groups: readonly string[]): User {
  return { ...userNamed(name, groups), groups };
}

function requireNamespace({ resourceAttributes }: AccessReviewSpec, namespace: string): void {
  if (resourceAttributes?.namespace === namespace) return;
  throw new StatusError(
    'Invalid',
    `spec.resourceAttributes.namespace: Invalid value: must be ${JSON.stringify(namespace)}, the namespace of the request`,
  );
}

function accessOf(parts: ServerParts, user: User, spec: AccessReviewSpec): JsonObject {
  const { allowed, reason } = decide(parts, user, askedOf(spec));
  return { allowed, ...(reason === '' ? {} : { reason }) };
}

function askedOf({ resourceAttributes, nonResourceAttributes }: AccessReviewSpec): AskedAccess {
  if ((resourceAttributes === undefined) === (nonResourceAttributes === undefined)) {
    throw new StatusError(
      'Invalid',
      'spec: Invalid value: exactly one of resourceAttributes and nonResourceAttributes must be given',
    );
  }
  if (nonResourceAttributes !== undefined) {
    const { verb = '', path = '' } = nonResourceAttributes;
    return { type: 'path', verb, path };
  }
  const {
    verb = '',
    group = '',
    resource = '',
    subresource = '',
    namespace = '',
    name = '',
  } = resourceAttributes ?? {};
  return { type: 'resource', verb, group, resource, subresource, namespace, name };
}

function reviewRules(
  parts: ServerParts,
  { user = anonymousUser }: RequestContext,
  { spec }: ApiObject,
): JsonObject {
  const namespace = isJsonObject(spec) ? spec['namespace'] : undefined;
  if (typeof namespace !== 'string' || namespace === '') {
    throw new StatusError(
      'BadRequest',
      'no namespace on request: spec.namespace says which one is asked about',
    );
  }
  const rules = rulesHeld(parts.policy, parts.registry.definitions, user, namespace);
  const isOfPaths = ({ nonResourceURLs = [] }: PolicyRule): boolean => nonResourceURLs.length > 0;
  return {
    resourceRules: rules.filter((rule) => !isOfPaths(rule)).map((rule) => ({ ...rule })),
    nonResourceRules: rules.filter(isOfPaths).map((rule) => ({ ...rule })),
    incomplete: user.nodeName !== undefined,
  };
}
